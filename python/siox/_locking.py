"""The lock of what one thread registers and another looks up: there is none where one thread does both."""

from __future__ import annotations

import contextlib
import threading
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

Lock: TypeAlias = AbstractContextManager[Any]


def lock_for(apart: bool) -> Lock:
    """Return a lock for handlers that run apart from the loop; where they do not, what costs nothing.

    It may be taken again by who has it, and whoever has it waits for nothing.
    """
    return threading.RLock() if apart else _NOTHING


_NOTHING = contextlib.nullcontext()
