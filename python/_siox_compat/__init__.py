"""What SIOX_COMPAT=1 does at the start of a program: when that imports `socketio`, it gets siox's.

The file `siox_compat.pth` imports this in every Python whose environment has SIOX_COMPAT. So it is small,
imports nothing of siox until `socketio` is asked for, and stops no program: where siox cannot stand in, it
says one sentence and python-socketio is used.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

PROTOCOL = "siox.integrations.uvicorn:Protocol"
HAS_CORE = (Path(__file__).parent.parent / "siox/integrations/uvicorn.py").exists()
CHOICES = ("auto", "websockets", "websockets-sansio", "wsproto")
"""Names that uvicorn knows its websocket protocols by; "none" is a wish, and classes are their owner's."""


def begin() -> None:
    """Watch what is imported from now on."""
    if not any(isinstance(finder, Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, Watch())
    if "uvicorn.config" in sys.modules:
        choose_protocol(sys.modules["uvicorn.config"])


def end() -> None:
    """Watch no more, and let uvicorn choose as before."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Watch)]
    config = sys.modules.get("uvicorn.config")
    if config is not None:
        config.WS_PROTOCOLS.update(getattr(config, "_before_siox", {}))


class Watch:
    """Finds `socketio`, in front of all other finders, and uvicorn's settings when they are read."""

    def __init__(self) -> None:
        self._found = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module comes from, or None for what is not ours."""
        if name == "socketio" and not self._found:
            # Python-socketio itself is imported meanwhile, by its own finder.
            self._found = True
            return _find_socketio()
        if name == "siox.compat.socketio" and not self._found:
            # A program that names it: libraries beside it shall have the same.
            self._found = True
            return _find_and_then(name, path, lambda module: _install())
        if name == "uvicorn.config":
            return _find_and_then(name, path, choose_protocol)
        return None


class Ready:
    """Loads a module that exists already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return it."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it was before it was imported once more."""
        module.__spec__ = self._spec


def _find_socketio() -> ModuleSpec | None:
    if not _is_there("socketio"):
        _say("python-socketio is not installed, so there is nothing to replace: pip install 'siox[socketio]'")
        return None
    _install()
    module = sys.modules.get("socketio")
    if module is None:
        return None
    spec = ModuleSpec("socketio", Ready(module), origin=module.__file__, is_package=True)  # type: ignore[arg-type]
    spec.submodule_search_locations = list(module.__path__)
    # The import system asks a module that came into being meanwhile, not its finder.
    module.__spec__ = spec
    return spec


def _install() -> None:
    try:
        importlib.import_module("siox.compat._install").install()
    except Exception as error:
        _say(f"the program runs on python-socketio alone: {error}")


def _find_and_then(
    name: str, path: Sequence[str] | None, function: Callable[[ModuleType], object]
) -> ModuleSpec | None:
    """Find a module, and have a function called when it is loaded."""
    spec = PathFinder.find_spec(name, path)
    if spec is not None and spec.loader is not None:
        execute = spec.loader.exec_module

        def then_call(module: ModuleType) -> None:
            execute(module)
            function(module)

        spec.loader.exec_module = then_call  # type: ignore[method-assign]
    return spec


def choose_protocol(config: Any) -> None:
    """Have uvicorn speak WebSocket by the class that gives sockets to siox, whatever name it is told.

    A class of the program's own is no name, and stays; so does everything where something is missing.
    """
    if not hasattr(config, "WS_PROTOCOLS") or hasattr(config, "_before_siox"):
        return
    if HAS_CORE and _is_there("socketio") and _is_there("websockets"):
        config._before_siox = {
            name: config.WS_PROTOCOLS[name] for name in CHOICES if name in config.WS_PROTOCOLS
        }
        config.WS_PROTOCOLS.update(dict.fromkeys(config._before_siox, PROTOCOL))


def _is_there(name: str) -> bool:
    if name in sys.modules:
        return True
    others = (finder for finder in sys.meta_path if not isinstance(finder, Watch))
    return any(finder.find_spec(name, None) is not None for finder in others)


def _say(sentence: str) -> None:
    print(f"siox: {sentence}", file=sys.stderr)
