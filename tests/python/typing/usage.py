"""Uses of the API as programs make them: `mypy --strict` must have nothing to say."""

from __future__ import annotations

import asyncio
import functools
import re
from typing import assert_type

import siox
import siox.sync
from siox.types import ClientDisconnectReason, DisconnectReason

io = siox.Server(ping_interval=5, cors=["https://example.com"], transports=["websocket"])


@io.event("update item")
async def update_item(socket: siox.Socket, item_id: str, item: object) -> dict[str, str]:
    socket.to("watchers").except_(["a", "b"]).emit("updated", item_id)
    socket.emit("not awaited")
    await socket.emit("awaited", item)
    socket.volatile.emit("position", 1, 2)
    socket.latest("price:EURUSD").emit("price", 1.17)
    await io.to("room").latest("price:EURUSD").emit("price", 1.17)
    socket.outbox.policy = "drop_oldest"
    socket.outbox.set(low_water=1000, high_water=10_000, limit=100_000)
    assert_type(socket.outbox.bytes, int)
    await socket.outbox.drain()
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


@io.on("dropped")
def dropped(socket: siox.Socket, count: int) -> None:
    print(socket.id, count, socket.outbox.dropped)


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


async def token() -> dict[str, str]:
    return {"token": "t"}


async def client() -> None:
    async with siox.connect("http://localhost:3000", auth=token, wait=5, transports=["websocket"]) as socket:
        assert_type(socket, siox.ClientSocket)
        assert_type(socket.id, str | None)
        assert_type(socket.manager, siox.Manager)

        @socket.on("hello")
        def hello(name: str, *more: object) -> None: ...

        @socket.once("bye")
        async def bye() -> str:
            return "bye"

        @socket.on("disconnect")
        def disconnected(reason: ClientDisconnectReason, details: str | None) -> None: ...

        @socket.on("connect_error")
        def failed(error: siox.ConnectError) -> None:
            print(error.message, error.data)

        @socket.manager.on("reconnect_attempt")
        def attempt(number: int) -> None: ...

        hello("still a function")
        socket.emit("update item", 1, {"name": "updated"}, lambda response: print(response))
        await socket.emit("awaited")
        socket.volatile.timeout(5).emit("position", 1, 2)
        assert_type(socket.volatile, siox.ClientSocketOperator)
        await socket.timeout(5).emit_with_ack("question")
        await socket.wait_for("hello", timeout=5)
        async for name, values in socket.events():
            assert_type(name, str)
            print(values)
        await socket.disconnect()
        assert_type(socket.connect(), siox.ClientSocket)
        await socket.wait()
    socket = await siox.connect("http://localhost:3000/chat", retries=3, ack_timeout=1)
    async with siox.Manager("http://localhost:3000", reconnection_attempts=5, proxy=True) as manager:
        assert_type(manager.socket("/chat", auth={"its": "own"}), siox.ClientSocket)
        assert_type(manager.engine.transport, str)
        await manager.close()


def blocking_client() -> None:
    with siox.sync.connect("http://localhost:3000", wait=5, ca="ca.pem") as socket:
        assert_type(socket, siox.sync.ClientSocket)

        @socket.on("hello")
        def hello(name: str) -> None: ...

        socket.emit("update item", 1, ack=print)
        socket.volatile.emit("position", 1, 2)
        answer: int = socket.emit_with_ack("question", 1)
        answer = socket.timeout(5).emit_with_ack("question", answer)
        socket.wait_for("hello", timeout=5)
        for name, values in socket.events():
            assert_type(name, str)
            print(values)
        socket.disconnect()
        socket.wait()
    with siox.sync.Manager("http://localhost:3000") as manager:
        assert_type(manager.socket("/chat"), siox.sync.ClientSocket)
        manager.close()


blocking_io = siox.sync.Server(max_threads=10, ping_interval=5)


@blocking_io.event("update item")
def update_item_blocking(socket: siox.sync.Socket, item_id: str) -> dict[str, str]:
    socket.to("watchers").except_(["a", "b"]).emit("updated", item_id)
    socket.volatile.emit("position", 1, 2)
    socket.emit("with a callback", 1, ack=print)
    answer: str = socket.timeout(5).emit_with_ack("are you sure")
    socket.join("room")
    socket.outbox.drain()
    assert_type(socket.namespace, siox.sync.Namespace)
    assert_type(socket.namespace.server, siox.sync.Server)
    assert_type(socket.latest("key"), siox.sync.SocketOperator)
    assert_type(socket.broadcast, siox.sync.BroadcastOperator)
    assert_type(blocking_io.in_("room").fetch_sockets(), list[siox.sync.Socket])
    assert_type(blocking_io.sockets, dict[str, siox.sync.Socket])
    for name, values in socket.events():
        assert_type(name, str)
        print(values)
    return {"status": answer}


@blocking_io.use
def admit_blocking(socket: siox.sync.Socket) -> None:
    if socket.handshake.auth is None:
        raise siox.RefusedError("who are you?")


class BlockingChat(siox.sync.Handlers):
    @siox.sync.event("say")
    def say(self, socket: siox.sync.Socket, text: str) -> str:
        self.namespace.emit("said", text)
        return self.namespace.name


def blocking_server() -> None:
    admit_blocking(next(iter(blocking_io.sockets.values())))
    assert_type(blocking_io.of("/chat").register(BlockingChat), BlockingChat)
    assert_type(blocking_io.of(re.compile("/room")), siox.sync.ParentNamespace)
    with blocking_io as io:
        assert_type(io, siox.sync.Server)
        assert_type(io.listen(port=0).port, int)
        answers: list[object] = io.timeout(5).emit_with_ack("who is there")
        print(answers)
        io.close(timeout=1)
    blocking_io.run(port=3000, on_listening=lambda listener: print(listener.url))
