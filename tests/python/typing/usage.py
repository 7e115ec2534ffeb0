"""Uses of the API as programs make them: `mypy --strict` must have nothing to say."""

from __future__ import annotations

import asyncio
import functools
import re
from typing import assert_type

import siox
from siox.types import DisconnectReason

io = siox.Server(ping_interval=5, cors=["https://example.com"], transports=["websocket"])


@io.event("update item")
async def update_item(socket: siox.Socket, item_id: str, item: object) -> dict[str, str]:
    socket.to("watchers").except_(["a", "b"]).emit("updated", item_id)
    socket.emit("not awaited")
    await socket.emit("awaited", item)
    socket.volatile.emit("position", 1, 2)
    socket.join("room")
    socket.leave(["room"])
    io.sockets_join("room")
    return {"status": "ok"}


@io.event
def named_by_the_function(socket: siox.Socket) -> None: ...


@io.event("in a thread", thread=True)
def in_a_thread(socket: siox.Socket, *values: int) -> tuple[int, ...]:
    return values


@io.on("connection")
async def connection(socket: siox.Socket) -> None:
    @socket.on("question")
    async def question(text: str, ack: siox.Ack) -> None:
        ack(await socket.timeout(5).emit_with_ack("are you sure"))

    def answered(answer: str) -> None: ...

    socket.emit("with a callback", 1, answered)
    socket.timeout(5).emit("with another", functools.partial(answered), ack=answered)
    socket.once("bye", lambda: socket.disconnect(close=True))
    async for name, values in socket.events():
        assert_type(name, str)
        print(values)
    await question("still a function", siox.Ack())


@io.on("disconnect")
def disconnect(socket: siox.Socket, reason: DisconnectReason) -> None:
    del socket.data["user"]


@io.on("error")
def error(exception: Exception, socket: siox.Socket, event: str) -> str:
    return f"{event} failed"


@io.use
async def admit(socket: siox.Socket) -> None:
    if socket.handshake.auth is None:
        raise siox.RefusedError("who are you?", {"retry": False})


@io.of(re.compile(r"/room-\d+")).use
def admit_at_once(socket: siox.Socket) -> None: ...


class Chat(siox.Handlers):
    @siox.event("update item")
    async def update_item(self, socket: siox.Socket, item_id: str) -> str:
        return self.namespace.name

    @siox.event
    def typing(self, socket: siox.Socket) -> None: ...


io.of("/chat").register(Chat)


async def main() -> None:
    listener = await io.listen(port=0)
    assert_type(listener.port, int)
    assert_type(await io.in_("room").fetch_sockets(), list[siox.Socket])
    await asyncio.gather(io.emit("all"), io.to("room").emit("some"))
    try:
        await io.timeout(5).emit_with_ack("who is there")
    except siox.AckTimeoutError as error:
        print(error.responses)
    await io.close(timeout=1)
