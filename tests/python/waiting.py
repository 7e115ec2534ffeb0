"""How long a test waits for what must come: none passes by a time, and who waits to the end has failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

PATIENCE = 15.0
"""Seconds for what comes at once on a machine that is not busy."""


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until `condition()` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
