"""What waits to be sent to one client: how much, and what happens when it does not read."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from siox._awaitables import DONE, Until
from siox._checks import check_choice, check_count
from siox.exceptions import UsageError
from siox.types import OutboxPolicy

if TYPE_CHECKING:
    from siox._siox import OutboxState
    from siox._socket import BaseSocket

LOW_WATER = 64 * 1024
"""Bytes below which a waiting emit resumes, by default."""
HIGH_WATER = 256 * 1024
"""Bytes at which an awaited emit waits, by default."""
OUTBOX_LIMIT = 8 * 1024 * 1024
"""Bytes above which the policy acts, by default."""

check_policy = check_choice(*get_args(OutboxPolicy))
NO_ANSWER = "an event that a newer one may replace asks for no acknowledgement"


class BaseOutbox:
    """What outboxes of asyncio and blocking ones share."""

    __slots__ = ("_socket",)

    def __init__(self, socket: BaseSocket[Any, Any]) -> None:
        self._socket = socket

    def __repr__(self) -> str:
        """Return what waits, and for whom."""
        return f"<Outbox of {self._socket.id}: {self.bytes} bytes, {self.policy} above {self.limit}>"

    # -- what waits

    @property
    def bytes(self) -> int:
        """Bytes that wait: neither the kernel has taken them, nor a poll, nor the server around this one."""
        return self._state["bytes"]

    @property
    def packets(self) -> int:
        """Packets that wait, count; with a part of the first the kernel may have begun."""
        return self._state["packets"]

    @property
    def slow(self) -> bool:
        """Whether it was at `high_water` and has not been below `low_water` since."""
        return self._state["slow"]

    @property
    def dropped(self) -> int:
        """Events that the policy has dropped so far, count."""
        return self._state["dropped"]

    @property
    def conflated(self) -> int:
        """Events sent by `latest` that a newer one of their key has replaced so far, count."""
        return self._state["conflated"]

    # -- the marks

    @property
    def policy(self) -> OutboxPolicy:
        """What happens when it is over its `limit` and does not shrink.

        "disconnect" closes the connection; "drop_oldest" drops the events that have waited longest;
        "drop_volatile" drops volatile ones, and closes the connection when the others are too many.
        """
        return self._state["policy"]

    @policy.setter
    def policy(self, policy: OutboxPolicy) -> None:
        self.set(policy=policy)

    @property
    def low_water(self) -> int:
        """Bytes below which a waiting emit resumes."""
        return self._state["low_water"]

    @low_water.setter
    def low_water(self, size: int) -> None:
        self.set(low_water=size)

    @property
    def high_water(self) -> int:
        """Bytes at which an awaited emit waits."""
        return self._state["high_water"]

    @high_water.setter
    def high_water(self, size: int) -> None:
        self.set(high_water=size)

    @property
    def limit(self) -> int:
        """Bytes above which the policy acts."""
        return self._state["limit"]

    @limit.setter
    def limit(self, size: int) -> None:
        self.set(limit=size)

    def set(
        self,
        *,
        policy: OutboxPolicy | None = None,
        low_water: int | None = None,
        high_water: int | None = None,
        limit: int | None = None,
    ) -> None:
        """Set several at once; what is not given stays, or comes down to the mark above it.

        Raises:
            UsageError: another word, no whole number above 0, or marks that are not in order.
        """
        given = {"low_water": low_water, "high_water": high_water, "limit": limit}
        checked = {name: check_count(name, size) for name, size in given.items() if size is not None}
        if policy is not None:
            check_policy("policy", policy)
        state = self._state
        now = {"low_water": state["low_water"], "high_water": state["high_water"], "limit": state["limit"]}
        marks = in_order(checked, now)
        self._socket._engine.set_outbox(self._socket._key, *marks, policy or state["policy"])

    @property
    def _state(self) -> OutboxState:
        socket = self._socket
        state = socket._engine.outbox(socket._key)
        if state is not None:
            return state
        config = socket.namespace.server.config
        return {
            "bytes": 0,
            "packets": 0,
            "slow": False,
            "dropped": 0,
            "conflated": 0,
            "low_water": config.low_water,
            "high_water": config.high_water,
            "limit": config.outbox_limit,
            "policy": config.outbox_policy,
        }


class Outbox(BaseOutbox):
    """What waits to be sent to one client, and what happens when the client does not read.

    It is the connection's: sockets of one client in several namespaces share it. Numbers are bytes unless
    another unit is named; see `docs/slow-readers.md`.

    ```python
    @io.on("connection")
    def connection(socket):
        socket.outbox.set(policy="drop_oldest", limit=1_000_000)
    ```
    """

    __slots__ = ()

    def drain(self) -> Awaitable[None]:
        """Wait, where it is at `high_water`, until it is below `low_water`, or the client has left."""
        state = self._state
        if not state["slow"] and state["bytes"] < state["high_water"]:
            return DONE
        return Until(functools.partial(self._socket._engine.when_drained, self._socket._key))


def in_order(given: Mapping[str, Any], others: Mapping[str, int]) -> tuple[int, int, int]:
    """Return the three marks: those given, and else others, each brought down to the mark above it.

    Args:
        given: bytes by name, not all of them marks.
        others: bytes of all three by name, from the lowest to the highest.

    Raises:
        UsageError: those given are not in order.
    """
    low, high, limit = others
    top: int = given.get(limit, others[limit])
    middle: int = given.get(high, min(others[high], top))
    bottom: int = given.get(low, min(others[low], middle))
    if not bottom <= middle <= top:
        raise UsageError(f"{low}={bottom}, {high}={middle}, {limit}={top}: each may be as high as the next")
    return bottom, middle, top


def check_key(key: Any) -> str:
    """Return the key of `latest`.

    Raises:
        UsageError: no string.
    """
    if not isinstance(key, str):
        raise UsageError(f"latest({key!r}): a key is a string, such as 'price:EURUSD'")
    return key
