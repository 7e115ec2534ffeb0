"""The life of an ASGI application that has the server in it.

Follows the ASGI specification, "Lifespan Protocol" 2.0.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from siox.integrations.asgi import Application, Message, Receive, Scope, Send
    from siox.server import Server

log = logging.getLogger("siox")

STARTUP, STARTED, FAILED = "lifespan.startup", "lifespan.startup.complete", "lifespan.startup.failed"
SHUTDOWN, ENDED = "lifespan.shutdown", "lifespan.shutdown.complete"


class Lifespan:
    """One life. The server begins before the application's own part does, and ends after it.

    So the application may emit in both. What it leaves undone, all of it where it does not speak lifespan, is
    done in its place.
    """

    def __init__(self, server: Server, receive: Receive, send: Send) -> None:
        self._server = server
        self._receive = receive
        self._send = send
        self._heard: set[str] = set()
        self._said: set[str] = set()

    async def run(self, app: Application | None, scope: Scope) -> None:
        """Live it.

        Raises:
            Exception: what the application raised, if it speaks lifespan.
        """
        if app is not None:
            await self._run_other(app, scope)
        if self._said & {FAILED, ENDED, "lifespan.shutdown.failed"}:
            return
        while STARTUP not in self._heard:
            await self._hear()
        if STARTED not in self._said:
            await self._say({"type": STARTED})
        while SHUTDOWN not in self._heard:
            await self._hear()
        await self._say({"type": ENDED})

    async def _run_other(self, app: Application, scope: Scope) -> None:
        try:
            await app(scope, self._hear, self._say)
        except Exception as error:
            if self._said:
                await self._server.close()
                raise
            # As the specification has it: an application that raises at this scope goes on without.
            log.info("the application in io.asgi() does not speak lifespan: %r", error)

    async def _hear(self) -> Message:
        message = await self._receive()
        if message["type"] == STARTUP:
            self._server._attach(asyncio.get_running_loop())
        self._heard.add(message["type"])
        return message

    async def _say(self, message: Message) -> None:
        if message["type"] != STARTED:
            await self._server.close()
        self._said.add(message["type"])
        await self._send(message)
