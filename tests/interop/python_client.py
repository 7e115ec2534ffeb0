"""python-socketio's AsyncClient, of which nothing stays open however its connection ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp
import socketio


def made(**options: Any) -> Any:
    """A client with a session of ours: of its own it loses one where it ends and begins at the same time."""
    return socketio.AsyncClient(http_session=aiohttp.ClientSession(), **options)


@contextlib.asynccontextmanager
async def python_client(**options: Any) -> AsyncIterator[Any]:
    """A client that connects once, and leaves at the end."""
    client = made(reconnection=False, **options)
    try:
        yield client
    finally:
        await leave(client)


async def leave(client: Any) -> None:
    """Disconnect."""
    await _end(client, client.disconnect)


async def drop(client: Any) -> None:
    """End the connection below, without a word of Socket.IO's."""
    await _end(client, client.eio.disconnect)


async def _end(client: Any, farewell: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def say() -> None:
        # Left in the middle of a post, its write loop ends without what is queued: the server hears nothing.
        await client.eio.queue.join()
        await farewell()

    saying = asyncio.create_task(say())
    # It may wait for its last poll for ever, as when it was refused while it polled.
    await asyncio.wait([saying], timeout=2)
    saying.cancel()
    await release(client)


async def release(client: Any, patience: float = 2) -> None:
    """End its tasks, which it does not wait for, after so many seconds at most; close its HTTP session."""
    client.reconnection = False
    engine = client.eio
    tasks = [engine.read_loop_task, engine.write_loop_task, client._reconnect_task]
    tasks = [task for task in tasks if task is not None]
    if tasks:
        _, busy = await asyncio.wait(tasks, timeout=patience)
        for task in busy:  # they would make a new session for what they still want
            task.cancel()
        await asyncio.wait(tasks)
    if engine.http is not None:
        await engine.http.close()
