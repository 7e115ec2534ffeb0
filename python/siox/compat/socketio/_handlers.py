"""The handlers of a server by namespace and event: dicts that tell when they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from siox._signature import is_async_function, name_of
from siox._siox import Direct

LIMITLESS = 2**63 - 1


class Entry:
    """A handler that the engine calls itself: `handler(sid, *values)`.

    Attributes:
        direct: how; None where that is not all there is to it.
        slow: the log has named it.
    """

    __slots__ = ("direct", "function", "slow")

    def __init__(self, function: Callable[..., Any], direct: Direct | None) -> None:
        self.function = function
        self.direct = direct
        self.slow = False

    @property
    def name(self) -> str:
        """The handler's name, for log lines."""
        return name_of(self.function)


def entry_of(function: Callable[..., Any]) -> Entry:
    """Return what the engine calls for an event that one handler takes."""
    is_async = is_async_function(function)
    return Entry(function, Direct(function, "id", 0, LIMITLESS, is_async))


class _Telling(dict[Any, Any]):
    """A dict that calls a function after each change."""

    __slots__ = ("_changed",)

    def __init__(self, values: Any, changed: Callable[[], None]) -> None:
        super().__init__(values)
        self._changed = changed

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self._changed()

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._changed()

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """As a dict does."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *values: Any, **named: Any) -> None:
        """As a dict does."""
        for key, value in dict(*values, **named).items():
            self[key] = value

    def __ior__(self, values: Any) -> Any:  # type: ignore[misc]
        self.update(values)
        return self

    def pop(self, *key: Any) -> Any:
        """As a dict does."""
        value = super().pop(*key)
        self._changed()
        return value

    def popitem(self) -> Any:
        """As a dict does."""
        item = super().popitem()
        self._changed()
        return item

    def clear(self) -> None:
        """As a dict does."""
        super().clear()
        self._changed()

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


class Handlers(_Telling):
    """`server.handlers`: namespace to a dict of event to handler, or `server.namespace_handlers`."""

    __slots__ = ()

    def __init__(self, values: Any, changed: Callable[[], None]) -> None:
        super().__init__({}, changed)
        self.update(values)

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(value) is dict:
            value = _Telling(value, self._changed)
        super().__setitem__(key, value)


class Tables:
    """What the engine is told of the handlers: for each namespace a dict that is kept up to date."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Entry]] = {}

    def table(self, namespace: str, handlers: Any, *, direct: bool) -> dict[str, Entry]:
        """Return that of a namespace, made on first use."""
        table = self._tables.get(namespace)
        if table is None:
            table = self._tables[namespace] = {}
            self._fill(namespace, handlers, direct=direct)
        return table

    def forget(self, namespace: str) -> None:
        """Nobody is in a namespace any more."""
        self._tables.pop(namespace, None)

    def refresh(self, handlers: Any, *, direct: bool) -> None:
        """The handlers have changed, or whether the engine calls them."""
        for namespace in list(self._tables):
            self._fill(namespace, handlers, direct=direct)

    def _fill(self, namespace: str, handlers: Any, *, direct: bool) -> None:
        table, events = self._tables[namespace], handlers.get(namespace) or {}
        wanted: dict[Any, Any] = {}
        if direct:
            wanted = {
                event: function
                for event, function in events.items()
                if event not in {"connect", "disconnect", "*"} and callable(function)
            }
        for event in [event for event in table if event not in wanted]:
            del table[event]
        for event, function in wanted.items():
            known = table.get(event)
            if known is None or known.function is not function:
                table[event] = entry_of(function)
