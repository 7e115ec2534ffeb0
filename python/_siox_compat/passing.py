"""Has `siox.compat.socketio` mean python-socketio, so that an application that names siox is compared too."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

NAME = "siox.compat.socketio"


def begin() -> None:
    """Pass python-socketio through from now on."""
    sys.meta_path.insert(0, Passing())


class Passing:
    """Finds python-socketio's modules under siox's name."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module comes from, or None for what is not ours."""
        if name == NAME or name.startswith(f"{NAME}."):
            return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return python-socketio's own."""
        self._module = importlib.import_module(spec.name.removeprefix("siox.compat."))
        self._spec = self._module.__spec__
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it was."""
        self._module.__spec__ = self._spec
