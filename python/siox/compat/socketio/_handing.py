"""What python-socketio's own code is given when it takes over: members, rooms, and answers that are owed."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bidict import bidict

from siox.compat.socketio._clients import Client, State

if TYPE_CHECKING:
    from siox.compat.socketio._bridge import Bridge

COUNTER = 0
"""Under which python-socketio keeps the last number of a client's callbacks."""


class Handing:
    """One time that it takes over, on the engine's thread."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._manager = bridge.sio.manager
        self._rooms: dict[str, dict[Any, Any]] = {}

    def run(self) -> None:
        """Hand over all that the engine knows, which knows it no more when this returns."""
        bridge = self._bridge
        handed = bridge.engine.go_raw()
        bridge.fast = False
        here = {each["socket"] for each in handed["sockets"]}
        for each in handed["sockets"]:
            client = each["socket"]
            self._put(client, each["rooms"])
            self._owe(client.id, each["acks"], handed["last_ack_id"])
            if client.state is State.JOINING:
                self._mark(client, "pending_connect")
            else:
                bridge.forget(client)
        # The others are gone, and their disconnect handlers run, or are about to.
        for client in [client for there in bridge.clients.values() for client in there.values()]:
            if client not in here:
                self._put(client, bridge.engine.rooms(client._key))
                self._mark(client, "pending_disconnect")
        self._manager.rooms = self._rooms

    def _put(self, client: Client, aliases: Iterable[str]) -> None:
        bridge, there = self._bridge, self._rooms.setdefault(client.namespace, {})
        if client.session.sid in there.setdefault(None, bidict()).inv:
            return  # on the same connection another one has joined since
        for room in {None, client.id, *map(bridge.aliases.room, aliases)}:
            there.setdefault(room, bidict())[client.id] = client.session.sid

    def _mark(self, client: Client, name: str) -> None:
        pending = getattr(self._manager, name, None)
        if pending is not None:  # older releases have no such state
            pending.setdefault(client.namespace, []).append(client.id)

    def _owe(self, sid: str, acks: dict[int, Any], last: int) -> None:
        """Keep what a client's answers are for, beside what other servers ask under its sid."""
        asked = {number: _given(callback) for number, (callback, _) in acks.items()}
        known = self._manager.callbacks.get(sid, {})
        known.pop(COUNTER, None)
        free = itertools.count(max([last, *known]) + 1)
        for number in sorted(known.keys() & asked.keys()):
            moved = next(free)
            known[moved] = known.pop(number)
            asked = {each: _moved(callback, sid, number, moved) for each, callback in asked.items()}
        self._manager.callbacks[sid] = {COUNTER: free, **known, **asked}


def _given(callback: Any) -> Any:
    """Return the function for an answer that the manager was given, from what the engine was given."""
    return callback.args[-1] if isinstance(callback, functools.partial) else callback


def _moved(callback: Any, sid: str, number: int, moved: int) -> Any:
    """Return what brings an answer back to a server of a manager, which knows it by another number now."""
    if isinstance(callback, functools.partial) and len(callback.args) == 4:
        host, whose, namespace, known = callback.args
        if (whose, known) == (sid, number):
            return functools.partial(callback.func, host, whose, namespace, moved)
    return callback
