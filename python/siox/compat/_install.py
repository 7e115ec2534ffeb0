"""siox's servers under the name `socketio`, for libraries that import it themselves."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

_kept: dict[str, ModuleType] = {}
"""Python-socketio's own modules, while others stand in `sys.modules`."""


def install() -> None:
    """Put `siox.compat.socketio` in the place of `socketio` and of its submodules, for every later import.

    Call it first: before `import socketio`, and before anything that imports it, such as `flask_socketio`.
    It may be called again.

    Raises:
        ImportError: python-socketio is not installed, or is older than siox knows.
        UsageError: a module has imported python-socketio already; the sentence names it.
    """
    if _kept:
        return
    from siox.compat import _facade, _importers

    compat = importlib.import_module("siox.compat.socketio")
    modules = {
        name: module
        for name, module in sys.modules.items()
        if name == "socketio" or name.startswith("socketio.")
    }
    given = _facade.replacements(modules, compat)
    facades = _facade.facades(modules, given)
    _importers.refuse(given)
    _kept.update(modules)
    sys.modules.update(facades)
    importlib.import_module("_siox_compat").begin()


def uninstall() -> None:
    """Give the name `socketio` back to python-socketio.

    What was imported meanwhile, and servers that were made, stay siox's.
    """
    if _kept:
        importlib.import_module("_siox_compat").end()
        sys.modules.update(_kept)
        _kept.clear()


__all__ = ["install", "uninstall"]
