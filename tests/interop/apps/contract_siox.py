"""The contract application of servers.py on siox, steered by JSON lines over stdio."""

import asyncio
import json
import sys
from typing import Any

from asgi import serve_asgi

import siox

OPTIONS: dict[str, Any] = json.loads(sys.argv[1]) if sys.argv[1:] else {}
SERVER = ("transports", "ping_interval", "ping_timeout", "max_http_buffer_size", "path", "parser")
heard: dict[str, list[tuple[str, int]]] = {}


def create_server() -> siox.Server:
    """Build it."""
    options = {name: OPTIONS[name] for name in SERVER if OPTIONS.get(name) is not None}
    if OPTIONS.get("upgrade") is False:
        options["allow_upgrades"] = False
    io = siox.Server(**options)
    for name in ("/", "/chat", "/private"):
        add_handlers(io.of(name))

    @io.of("/private").use
    def admit(socket: siox.Socket) -> None:
        if (socket.handshake.auth or {}).get("token") != "t":
            raise siox.RefusedError("no token", {"code": 401})

    return io


def add_handlers(namespace: siox.Namespace) -> None:
    """Register what every namespace has."""

    @namespace.on("connection")
    def connection(socket: siox.Socket) -> None:
        socket.emit("welcome", socket.handshake.auth or {}, socket.transport)

    @namespace.event("echo")
    def echo(socket: siox.Socket, *values: Any) -> None:
        socket.emit("echo", *values)

    @namespace.event("answer")
    def answer(socket: siox.Socket, *values: Any) -> tuple[Any, ...]:
        return values

    @namespace.event("ask")
    def ask(socket: siox.Socket, *values: Any) -> None:
        socket.emit("question", *values, lambda *answers: socket.emit("answered", *answers))

    @namespace.event("slow")
    async def slow(socket: siox.Socket, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "late"

    @namespace.event("silent")
    def silent(socket: siox.Socket, ack: siox.Ack) -> None:
        """Answer nothing."""

    @namespace.event("note")
    def note(socket: siox.Socket, who: str, number: int) -> int:
        heard.setdefault(who, []).append((socket.id, number))
        return number

    @namespace.event("burst")
    def burst(socket: siox.Socket, count: int) -> None:
        for number in range(count):
            socket.emit("n", number)

    @namespace.event("transport")
    def transport(socket: siox.Socket) -> str:
        return socket.transport

    @namespace.event("request")
    def request(socket: siox.Socket) -> tuple[dict[str, str], dict[str, str]]:
        return dict(socket.handshake.headers), dict(socket.handshake.query)

    @namespace.event("join")
    def join(socket: siox.Socket, room: str) -> None:
        socket.join(room)

    @namespace.event("leave")
    def leave(socket: siox.Socket, close: bool) -> None:
        socket.disconnect(close)


async def main() -> None:
    """Serve until stdin ends."""
    io = create_server()
    port = await serve(io)
    print(json.dumps({"port": port}), flush=True)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        request = json.loads(line)
        print(json.dumps({"id": request.pop("id"), "value": await operate(io, **request)}), flush=True)


async def serve(io: siox.Server) -> int | None:
    """Listen where the options say."""
    if OPTIONS.get("tls"):
        return await serve_asgi(io.asgi(), OPTIONS)  # the own listener has no TLS
    if OPTIONS.get("uds"):
        await io.listen(path=OPTIONS["uds"])
        return None
    return (await io.listen(port=OPTIONS.get("port", 0))).port


async def operate(io: siox.Server, op: str, **parameters: Any) -> Any:
    """Do what the test asks for."""
    if op == "emit":
        namespace = io.of(parameters.get("namespace", "/"))
        room = parameters.get("room")
        (namespace.to(room) if room else namespace).emit(parameters["event"], *parameters["args"])
        return True
    if op == "heard":
        return heard.get(parameters["who"], [])
    if op == "count":
        return len(await io.fetch_sockets())
    if op == "close":
        await io.close()
        return True
    raise ValueError(op)


asyncio.run(main())
