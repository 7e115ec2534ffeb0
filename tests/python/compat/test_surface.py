"""Everything that python-socketio offers is in `siox.compat.socketio`, and is called the same way."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import engineio
import pytest
import socketio
from surface import arguments_differ, imported, is_coroutine, members, modules, names

import siox.compat.socketio as compat

MODULES = [socketio, *(imported("socketio", name) for name in modules(socketio))]
CLASSES = {
    (module.__name__, name): value
    for module in MODULES
    for name in names(module)
    if inspect.isclass(value := getattr(module, name))
}
REPLACED = [
    "ASGIApp",
    "AsyncAioPikaManager",
    "AsyncManager",
    "AsyncRedisManager",
    "AsyncServer",
    "KafkaManager",
    "KombuManager",
    "Manager",
    "Middleware",
    "PubSubManager",
    "RedisManager",
    "Server",
    "WSGIApp",
    "ZmqManager",
]
SERVERS = ["AsyncServer", "Server"]


def ours(module: str) -> ModuleType:
    """Our module that stands for one of theirs."""
    return imported("siox.compat", module)


def servers(name: str, **options: Any) -> tuple[Any, Any]:
    """A server of each library."""
    if name == "Server":
        options.setdefault("async_mode", "threading")
    return getattr(socketio, name)(**options), getattr(compat, name)(**options)


def test_every_name_is_there() -> None:
    for module in MODULES:
        mine = ours(module.__name__)
        assert [name for name in names(module) if not hasattr(mine, name)] == [], module
        assert getattr(mine, "__all__", None) == getattr(module, "__all__", None)


def test_what_is_replaced_is_replaced_wherever_it_can_be_imported_from() -> None:
    assert [name for name in REPLACED if getattr(compat, name) is getattr(socketio, name)] == []
    for (module, name), theirs in CLASSES.items():
        new = getattr(compat, name, None)
        if name in REPLACED and theirs is getattr(socketio, name):
            assert getattr(ours(module), name) is new, f"{module}.{name}"
    theirs, mine = (imported(each, "async_pubsub_manager") for each in ("socketio", "siox.compat.socketio"))
    assert mine.AsyncPubSubManager is not theirs.AsyncPubSubManager
    assert issubclass(compat.AsyncRedisManager, mine.AsyncPubSubManager)


def test_every_class_has_every_member() -> None:
    missing = [
        f"{module}.{name}.{member}"
        for (module, name), theirs in CLASSES.items()
        for member in members(theirs)
        if not hasattr(getattr(ours(module), name), member)
    ]
    assert missing == []


def test_arguments_are_the_same_with_additions_at_the_end_by_keyword_only() -> None:
    found = {}
    for (module, name), theirs in CLASSES.items():
        mine = members(getattr(ours(module), name))
        for member, old in members(theirs).items():
            if not callable(old) and not isinstance(old, staticmethod | classmethod):
                continue
            try:
                differ = arguments_differ(old, mine[member])
            except ValueError:  # written in C
                continue
            if differ:
                found[f"{module}.{name}.{member}"] = differ
    assert found == {}


def test_what_is_awaited_there_is_awaited_here_and_nothing_else() -> None:
    differ = [
        f"{module}.{name}.{member}"
        for (module, name), theirs in CLASSES.items()
        for member, old in members(theirs).items()
        if is_coroutine(old) != is_coroutine(members(getattr(ours(module), name))[member])
    ]
    assert differ == []


def test_functions_are_called_the_same_way() -> None:
    for module in MODULES:
        for name in names(module):
            theirs = getattr(module, name)
            if inspect.isfunction(theirs):
                assert arguments_differ(theirs, getattr(ours(module.__name__), name)) == "", name


def test_who_is_a_subclass_of_whom_is_so_here_too() -> None:
    distinct = {theirs: getattr(ours(module), name) for (module, name), theirs in CLASSES.items()}
    for old, new in distinct.items():
        assert issubclass(new, old), old
    for (old, new), (old_base, new_base) in itertools.permutations(distinct.items(), 2):
        if issubclass(old, old_base):
            assert issubclass(new, new_base), f"{old} of {old_base}"


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_has_every_attribute_of_theirs(name: str) -> None:
    theirs, mine = servers(name)
    for old, new in ((theirs, mine), (theirs.manager, mine.manager), (theirs.eio, mine.eio)):
        assert [attribute for attribute in vars(old) if not hasattr(new, attribute)] == []
        wrong = [
            attribute
            for attribute, value in vars(old).items()
            if isinstance(value, bool | int | float | str | list | tuple | type(None))
            and getattr(new, attribute) != value
            and attribute not in {"host_id", "sequence_number"}
        ]
        assert wrong == []
        kinds = [
            attribute
            for attribute, value in vars(old).items()
            if isinstance(value, dict) and not isinstance(getattr(new, attribute), Mapping)
        ]
        assert kinds == []


@pytest.mark.parametrize("name", SERVERS)
def test_the_engine_io_server_is_one_of_theirs(name: str) -> None:
    theirs, mine = servers(name, ping_interval=7, ping_timeout=3, cookie="c", allow_upgrades=False)
    kind = getattr(engineio, name)
    assert isinstance(mine.eio, kind)
    for member, old in members(kind).items():
        new = inspect.getattr_static(type(mine.eio), member)
        if callable(old) and member != "__init__":
            assert arguments_differ(old, new) == "", member
            assert is_coroutine(old) == is_coroutine(new), member
    options = (
        "ping_interval",
        "ping_timeout",
        "cookie",
        "allow_upgrades",
        "max_http_buffer_size",
        "async_mode",
    )
    assert [getattr(mine.eio, each) for each in options] == [getattr(theirs.eio, each) for each in options]


@pytest.mark.parametrize("name", SERVERS)
def test_constants_and_classes_of_a_server_are_theirs(name: str) -> None:
    theirs, mine = servers(name)
    for attribute in ("reserved_events", "reason", "async_handlers", "always_connect"):
        assert getattr(mine, attribute) == getattr(theirs, attribute), attribute
    assert issubclass(mine.packet_class, theirs.packet_class)
    assert mine.is_asyncio_based() is theirs.is_asyncio_based()


@pytest.mark.parametrize(
    ("server", "manager"),
    [("AsyncServer", "AsyncManager"), ("Server", "Manager")],
)
def test_a_subclass_of_ours_is_one_of_theirs_with_their_super(server: str, manager: str) -> None:
    class Own(getattr(compat, server)):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.mine = True

    class Rooms(getattr(compat, manager)):  # type: ignore[misc]
        pass

    options = {"async_mode": "threading"} if server == "Server" else {}
    made = Own(Rooms(), **options)
    assert made.mine
    assert isinstance(made, getattr(socketio, server))
    assert isinstance(made.manager, getattr(socketio, manager))
