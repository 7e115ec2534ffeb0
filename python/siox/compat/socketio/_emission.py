"""What an emit is asked to do, and what siox adds to python-socketio's words for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

ADDED = ("volatile", "except_room")
"""Arguments that python-socketio does not know."""

additions: ContextVar[dict[str, Any] | None] = ContextVar("siox_additions", default=None)
"""Those of the emit under way: python-socketio's own code does not pass them on."""


@contextlib.contextmanager
def adding(options: Mapping[str, Any]) -> Iterator[None]:
    """Keep what siox adds to the emit that is made inside."""
    token = additions.set({name: options[name] for name in ADDED if options.get(name)} or None)
    try:
        yield
    finally:
        additions.reset(token)


class Emission(NamedTuple):
    """One emit.

    Attributes:
        event: its name.
        args: what goes with it.
        namespace: whose clients get it.
        room: a client's sid, a room, or several; None: everybody.
        skipped: sids that do not get it.
        callback: called with what a client answers.
        volatile: may be dropped where a client does not keep up.
        except_room: rooms whose members do not get it: one, or several.
    """

    event: str
    args: tuple[Any, ...]
    namespace: str
    room: Any
    skipped: Any
    callback: Any
    volatile: bool
    except_room: Any

    @classmethod
    def of(
        cls,
        event: Any,
        data: Any,
        namespace: str,
        room: Any,
        skip_sid: Any,
        callback: Any,
        added: Mapping[str, Any],
    ) -> Emission:
        """Make one of python-socketio's arguments, and of those that siox adds."""
        return cls(
            event if isinstance(event, str) else str(event),
            data if isinstance(data, tuple) else () if data is None else (data,),
            namespace,
            room,
            skip_sid if isinstance(skip_sid, (list, tuple, set)) else (skip_sid,),
            callback,
            bool(added.get("volatile")),
            added.get("except_room"),
        )
