"""What two packages offer, name by name: modules, classes, members, arguments."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

Parameter = inspect.Parameter
NAMED = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
UNDERSCORE = {
    "_engineio_server_class",
    "_get_event_handler",
    "_get_namespace_handler",
    "_handle_ack",
    "_handle_connect",
    "_handle_disconnect",
    "_handle_eio_connect",
    "_handle_eio_disconnect",
    "_handle_eio_message",
    "_handle_event",
    "_handle_event_internal",
    "_send_eio_packet",
    "_send_packet",
    "_trigger_event",
    "_generate_ack_id",
    "_get_logger",
    "_get_socket",
    "_handle_callback",
    "_handle_close_room",
    "_handle_emit",
    "_handle_enter_room",
    "_handle_leave_room",
    "_listen",
    "_publish",
    "_return_callback",
    "_set_client",
    "_set_server",
    "_thread",
    "_to_dict",
}
"""Members that applications override, replace or call, though their names say that they should not."""


def modules(package: ModuleType) -> Iterator[str]:
    """The names of a package's modules, without the package's."""
    for found in pkgutil.iter_modules(package.__path__):
        yield found.name


def names(thing: ModuleType) -> list[str]:
    """What a module offers: not what it has imported from elsewhere than its package."""
    package = thing.__name__.split(".")[0]
    return sorted(
        name
        for name, value in vars(thing).items()
        if not name.startswith("_")
        and (not inspect.ismodule(value) or value.__name__.split(".")[0] == package)
        and getattr(value, "__module__", package).split(".")[0] in {package, "builtins"}
    )


def members(cls: type) -> dict[str, Any]:
    """The members of a class that programs use, as the class has them."""
    return {
        name: inspect.getattr_static(cls, name)
        for name in dir(cls)
        if name in UNDERSCORE or name in {"__init__", "__call__"} or not name.startswith("_")
    }


def plain(member: Any) -> Any:
    """A function as such, out of what a class holds."""
    return member.__func__ if isinstance(member, staticmethod | classmethod) else member


def is_coroutine(member: Any) -> bool:
    """Whether a call gives something to await."""
    return inspect.iscoroutinefunction(plain(member)) or inspect.isasyncgenfunction(plain(member))


def arguments_differ(theirs: Any, ours: Any) -> str:
    """What a caller or an override of theirs would miss in ours, as a sentence, or ""."""
    old = list(inspect.signature(plain(theirs)).parameters.values())
    new = list(inspect.signature(plain(ours)).parameters.values())
    named_old = [item for item in old if item.kind in NAMED]
    named_new = [item for item in new if item.kind in NAMED]
    told = [_told(item) for item in named_new]
    if told != [_told(item) for item in named_old]:
        return f"arguments are {told}, not {[_told(item) for item in named_old]}"
    by_name = {item.name: item for item in new}
    for item in old:
        if item.kind in NAMED:
            continue
        if item.kind is Parameter.KEYWORD_ONLY:
            if item.name not in by_name or _told(by_name[item.name]) != _told(item):
                return f"{item.name} is not the same"
        elif item.kind not in {other.kind for other in new}:
            return f"there is no {item}"
    return ""


def _told(item: inspect.Parameter) -> tuple[str, str]:
    default = item.default
    return item.name, "" if default is Parameter.empty else repr(default)


def imported(package: str, module: str) -> ModuleType:
    """One module of a package."""
    return importlib.import_module(f"{package}.{module}")
