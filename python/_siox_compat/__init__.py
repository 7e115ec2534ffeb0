"""What SIOX_COMPAT=1 does at the start of a program: when that imports `socketio`, it gets siox's.

The file `siox_compat.pth` imports this in every Python whose environment has SIOX_COMPAT. So it is small,
imports nothing of siox until `socketio` is asked for, and stops no program: where siox cannot stand in, it
says one sentence and python-socketio is used.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def begin() -> None:
    """Watch what is imported from now on."""
    if not any(isinstance(finder, Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, Watch())


def end() -> None:
    """Watch no more."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Watch)]


class Watch:
    """Finds `socketio`, in front of all other finders."""

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
            return _find_and_install(name, path)
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


def _find_and_install(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    spec = PathFinder.find_spec(name, path)
    if spec is not None and spec.loader is not None:
        execute = spec.loader.exec_module

        def and_install(module: ModuleType) -> None:
            execute(module)
            _install()

        spec.loader.exec_module = and_install  # type: ignore[method-assign]
    return spec


def _is_there(name: str) -> bool:
    if name in sys.modules:
        return True
    others = (finder for finder in sys.meta_path if not isinstance(finder, Watch))
    return any(finder.find_spec(name, None) is not None for finder in others)


def _say(sentence: str) -> None:
    print(f"siox: {sentence}", file=sys.stderr)
