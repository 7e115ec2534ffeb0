"""The contract application of servers.py on python-socketio's asyncio server, under uvicorn."""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qsl

import socketio
from asgi import serve_asgi

OPTIONS: dict[str, Any] = json.loads(sys.argv[1]) if sys.argv[1:] else {}
SERVER = ("transports", "ping_interval", "ping_timeout", "max_http_buffer_size")
heard: dict[str, list[tuple[str, int]]] = {}


def create_server() -> socketio.AsyncServer:
    """Build it."""
    options = {name: OPTIONS[name] for name in SERVER if OPTIONS.get(name) is not None}
    if OPTIONS.get("upgrade") is False:
        options["allow_upgrades"] = False
    if OPTIONS.get("parser") == "msgpack":
        options["serializer"] = "msgpack"
    sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", **options)
    for name in ("/", "/chat", "/private"):
        sio.register_namespace(Contract(name))
    return sio


class Contract(socketio.AsyncNamespace):
    """What every namespace has."""

    async def on_connect(self, sid: str, environ: Any, auth: Any) -> None:
        """Refuse those without a token where one is wanted."""
        if self.namespace == "/private" and (auth or {}).get("token") != "t":
            raise socketio.exceptions.ConnectionRefusedError("no token", {"code": 401})
        await self.emit("welcome", (auth or {}, self.server.transport(sid, self.namespace)), to=sid)

    async def on_echo(self, sid: str, *values: Any) -> None:
        """Emit it back."""
        await self.emit("echo", values, to=sid)

    async def on_answer(self, sid: str, *values: Any) -> tuple[Any, ...]:
        """Acknowledge with what came."""
        return values

    async def on_ask(self, sid: str, *values: Any) -> None:
        """Ask the client, and tell it what it answered."""

        async def answered(*answers: Any) -> None:
            await self.emit("answered", answers, to=sid)

        await self.emit("question", values, to=sid, callback=answered)

    async def on_slow(self, sid: str, seconds: float) -> str:
        """Acknowledge late."""
        await asyncio.sleep(seconds)
        return "late"

    async def on_silent(self, sid: str, *_: Any) -> None:
        """Answer nothing."""
        await asyncio.Event().wait()

    async def on_note(self, sid: str, who: str, number: int) -> int:
        """Remember."""
        heard.setdefault(who, []).append((sid, number))
        return number

    async def on_burst(self, sid: str, count: int) -> None:
        """Many events at once."""
        for number in range(count):
            await self.emit("n", number, to=sid)

    async def on_transport(self, sid: str) -> str:
        """Say what carries the client."""
        return str(self.server.transport(sid, self.namespace))

    async def on_request(self, sid: str) -> tuple[dict[str, str], dict[str, str]]:
        """Say what the client asked with."""
        scope = self.server.get_environ(sid, self.namespace)["asgi.scope"]
        query = dict(parse_qsl(scope["query_string"].decode()))
        return {name.decode(): value.decode() for name, value in scope["headers"]}, query

    async def on_join(self, sid: str, room: str) -> None:
        """Enter a room."""
        await self.enter_room(sid, room)

    async def on_leave(self, sid: str, close: bool) -> None:
        """Disconnect the client."""
        await self.disconnect(sid)


async def main() -> None:
    """Serve until stdin ends."""
    sio = create_server()
    app = socketio.ASGIApp(sio, socketio_path=OPTIONS.get("path", "/socket.io/").strip("/"))
    port = await serve_asgi(app, OPTIONS)
    print(json.dumps({"port": port}), flush=True)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        request = json.loads(line)
        print(json.dumps({"id": request.pop("id"), "value": await operate(sio, **request)}), flush=True)


async def operate(sio: socketio.AsyncServer, op: str, **parameters: Any) -> Any:
    """Do what the test asks for."""
    if op == "emit":
        namespace = parameters.get("namespace", "/")
        await sio.emit(
            parameters["event"], tuple(parameters["args"]), room=parameters.get("room"), namespace=namespace
        )
        return True
    if op == "heard":
        return heard.get(parameters["who"], [])
    if op == "count":
        return len(sio.eio.sockets)
    if op == "close":
        await sio.shutdown()
        return True
    raise ValueError(op)


asyncio.run(main())
