"""python-socketio's AsyncClient, of which nothing stays open however its connection ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import socketio


@contextlib.asynccontextmanager
async def python_client(**options: Any) -> AsyncIterator[Any]:
    """A client that connects once, and leaves at the end."""
    client = socketio.AsyncClient(reconnection=False, **options)
    try:
        yield client
    finally:
        await leave(client)


async def leave(client: Any) -> None:
    """Disconnect; its client may wait for that for ever, as when it was refused while it polled."""
    leaving = asyncio.create_task(client.disconnect())
    await asyncio.wait([leaving], timeout=2)
    leaving.cancel()
    await release(client)


async def release(client: Any) -> None:
    """Close its HTTP session. It does so itself in a task, which the end of a loop may cut short."""
    engine = client.eio
    tasks = [task for task in (engine.read_loop_task, engine.write_loop_task) if task is not None]
    if tasks:
        _, busy = await asyncio.wait(tasks, timeout=2)
        for task in busy:  # they would make a new session for what they still have to say
            task.cancel()
        await asyncio.wait(tasks)
    if engine.http is not None:
        await engine.http.close()
