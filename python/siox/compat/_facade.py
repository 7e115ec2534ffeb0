"""Modules that stand for those of python-socketio, with siox's classes among the rest."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

OWN = ("__doc__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__")


class Given:
    """What stands for what: classes, and modules that hold them."""

    def __init__(self) -> None:
        self._new: dict[int, Any] = {}
        self._old: dict[int, Any] = {}

    def add(self, old: Any, new: Any) -> None:
        """Have one object stand for another."""
        self._new[id(old)] = new
        self._old[id(new)] = old

    def new(self, value: Any) -> Any:
        """Return what stands for a value: itself, for most."""
        return self._new.get(id(value), value)

    def old(self, value: Any) -> Any:
        """Return what a value stands for."""
        return self._old.get(id(value), value)

    def replaces(self, value: Any) -> bool:
        """Whether something stands for it."""
        return id(value) in self._new


class Facade(ModuleType):
    """A module of python-socketio with other classes in it; what is set in it is set there."""

    _siox_original: ModuleType
    _siox_given: Given

    def __init__(self, original: ModuleType, given: Given) -> None:
        super().__init__(original.__name__)
        for name in OWN:
            if hasattr(original, name):
                self.__dict__[name] = getattr(original, name)
        self.__dict__["_siox_original"] = original
        self.__dict__["_siox_given"] = given

    def __getattr__(self, name: str) -> Any:
        return self._siox_given.new(getattr(self._siox_original, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in OWN:
            self.__dict__[name] = value
        else:
            setattr(self._siox_original, name, self._siox_given.old(value))

    def __delattr__(self, name: str) -> None:
        delattr(self._siox_original, name)

    def __dir__(self) -> list[str]:
        return dir(self._siox_original)


def replacements(modules: Mapping[str, ModuleType], compat: ModuleType) -> Given:
    """Return what siox has in the place of python-socketio's own."""
    given = Given()
    for module in modules.values():
        for name, old in list(vars(module).items()):
            new = getattr(compat, name, None)
            if isinstance(old, type) and isinstance(new, type) and new is not old and issubclass(new, old):
                given.add(old, new)
    return given


def facades(modules: Mapping[str, ModuleType], given: Given) -> dict[str, ModuleType]:
    """Make a facade for each module that has something to replace: a class, or such a module."""
    made: dict[str, ModuleType] = {}
    while True:
        found = {
            name: module
            for name, module in modules.items()
            if name not in made and any(map(given.replaces, list(vars(module).values())))
        }
        if not found:
            return made
        for name, module in found.items():
            made[name] = Facade(module, given)
            given.add(module, made[name])
