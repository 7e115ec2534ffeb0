"""`engine_errors.json` (protocol.md 1.4) over our own listener, byte by byte, and `engine_packets.json`."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest

import siox
import vectors
from raw import Connection
from siox import testing
from siox._server import EngineEvents

if TYPE_CHECKING:
    from siox._siox import EngineOptions
    from siox.testing._arena import Arena

ERRORS = vectors.read("engine_errors.json")
PACKETS = vectors.read("engine_packets.json")
POLLING = "EIO=4&transport=polling"
NO_FAULT = {"GET", "POST"}
"""Aborted requests are lost connections: no line says so."""


class Messages(EngineEvents):
    """What the engine calls."""

    def message(self, session: int, message: str | bytes) -> None:
        server = self._server
        assert isinstance(server, EngineServer)
        server.messages.append(message)
        server._engine.send(session, message)

    def closed(self, session: int, reason: str) -> None:
        server = self._server
        assert isinstance(server, EngineServer)
        server.closed.append(reason)


class EngineServer(siox.Server):
    """A server that takes messages as they are, and notes why sessions end."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.messages: list[str | bytes] = []
        self.closed: list[str] = []

    def _engine_options(self) -> EngineOptions:
        return {**super()._engine_options(), "raw_messages": True}

    def _make_events(self) -> EngineEvents:
        return Messages(self)


class Bystander:
    """Another session of the same server, that must notice nothing."""

    def __init__(self, websocket: testing.RawWebSocket) -> None:
        self._websocket = websocket

    @classmethod
    async def join(cls, wire: testing.Wire) -> Bystander:
        websocket = await wire.websocket("EIO=4&transport=websocket", headers={"X-Bystander": "1"})
        await websocket.receive()
        return cls(websocket)

    async def check(self) -> None:
        self._websocket.send("4still here")
        while await self._websocket.receive() != "4still here":
            pass


class Case:
    """One vector under way: its session and the connections that it takes."""

    def __init__(self, server: EngineServer, arena: Arena, port: int) -> None:
        self.server, self.arena, self.port = server, arena, port
        self.sid = ""
        self.websocket: Connection | None = None
        self.pending: list[tuple[str, Connection]] = []
        self._connections: list[Connection] = []

    async def connect(self) -> Connection:
        connection = await Connection.open(self.port)
        self._connections.append(connection)
        return connection

    async def request(self, given: dict[str, Any]) -> testing.Response:
        connection = await self.connect()
        body = vectors.data_of(given["body"]) if "body" in given else None
        data = body.encode() if isinstance(body, str) else body
        if data is None and given["method"] == "POST":
            data = b""
        query = given["query"].replace("{sid}", self.sid)
        return await connection.ask(given["method"], query, body=data, headers=given.get("headers"))

    async def upgrade(
        self, query: str, headers: dict[str, str] | None = None
    ) -> tuple[Connection, testing.Response]:
        connection = await self.connect()
        connection.upgrade(query.replace("{sid}", self.sid), headers)
        return connection, await connection.response()

    async def barrier(self) -> None:
        """What was sent before has been read when this is answered."""
        assert (await (await self.connect()).ask("GET", "", path="/")).status == 404

    async def set_up(self, state: str | None, pending: list[str]) -> None:
        if state is None:
            return
        if state == "websocket":
            self.websocket, _ = await self.upgrade("EIO=4&transport=websocket")
            self.sid = json.loads((await self.websocket.text())[1:])["sid"]
        else:
            opened = await (await self.connect()).ask("GET", POLLING)
            self.sid = json.loads(opened.text[1:])["sid"]
        if state in {"upgrading", "upgraded"}:
            self.websocket, response = await self.upgrade("EIO=4&transport=websocket&sid={sid}")
            assert response.status == 101
            self.websocket.frame(b"2probe")
            assert await self.websocket.text() == "3probe"
        if state == "upgraded":
            self.websocket.frame(b"5")  # type: ignore[union-attr]
            assert await self.websocket.is_open()  # type: ignore[union-attr]
        if state == "closed":
            await (await self.connect()).ask("POST", f"{POLLING}&sid={self.sid}", body=b"1")
            self.server.closed.clear()
        for kind in pending:
            connection = await self.connect()
            body = b"4half" if kind == "POST" else None
            connection.request(kind, f"{POLLING}&sid={self.sid}", body=body, length=10)
            self.pending.append((kind, connection))
            await self.barrier()

    async def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """Do what the vector says; return what came of it."""
        if "message" in given:
            assert self.websocket is not None
            self.websocket.frame(vectors.text_of(given["message"]).encode())
            return await self.end_of(self.websocket)
        if "abort" in given:
            next(connection for kind, connection in self.pending if kind == given["abort"]).abort()
            async with asyncio.timeout(5):
                while not self.server.closed:
                    await self.barrier()
            return {}
        if "upgrade" in given:
            connection, response = await self.upgrade(given["upgrade"], given.get("headers"))
            if response.status == 101:
                return {"status": 101, **await self.end_of(connection)}
            return outcome(response)
        return outcome(await self.request(given))

    @staticmethod
    async def end_of(websocket: Connection) -> dict[str, Any]:
        """Whether the server closes a WebSocket, and with which code."""
        websocket.frame(b"there?", opcode=9)
        while True:
            opcode, payload = await websocket.message()
            if opcode == 8:
                return {"websocket_close": int.from_bytes(payload[:2], "big") if payload else 1005}
            if (opcode, payload) == (10, b"there?"):
                return {}

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def outcome(response: testing.Response) -> dict[str, Any]:
    found: dict[str, Any] = {"status": response.status, "body": response.text}
    if "content-type" in response.headers:
        found["content_type"] = response.headers["content-type"]
    return found


def server_of(options: dict[str, Any]) -> EngineServer:
    answer = options.get("allow_request", True)

    def allow(request: siox.Handshake) -> bool:
        if isinstance(answer, str) and "x-bystander" not in request.headers:
            raise siox.RefusedError(answer)
        return answer is not False or "x-bystander" in request.headers

    if "transports" in options:
        return EngineServer(**options)
    return EngineServer(**{**options, "allow_request": allow} if "allow_request" in options else options)


@contextlib.asynccontextmanager
async def listening(options: dict[str, Any]) -> AsyncIterator[tuple[Case, Bystander]]:
    from siox.testing._arena import joined

    server = server_of(options)
    async with joined(server) as arena, testing.wire(server) as wire:
        listener = await server.listen(port=0)
        bystander = await Bystander.join(wire)
        case = Case(server, arena, listener.port)
        try:
            yield case, bystander
        finally:
            case.close()


@pytest.mark.parametrize("vector", ERRORS, ids=[vector["id"] for vector in ERRORS])
async def test_an_error_is_answered_as_its_vector_says_and_a_bystander_notices_nothing(
    vector: dict[str, Any], warned: Callable[[], list[str]]
) -> None:
    expect = vector["expect"]
    async with listening(vector.get("options", {})) as (case, bystander):
        await case.set_up(vector.get("session"), vector.get("pending", []))
        warned()
        found = await case.act(vector["input"])
        await compare_pending(case, expect)
        # What is no HTTP at all gets no further than our own reader of requests.
        answer = {"status"} if is_no_http(vector) else {"status", "body", "content_type"}
        compared = {key: value for key, value in expect.items() if key in answer}
        assert {key: found.get(key) for key in compared} == compared
        assert found.get("websocket_close") == expect.get("websocket_close")
        if "close_reason" in expect:
            reason = expect["close_reason"]
            assert case.server.closed == ([] if reason is None else [reason])
        if "next" in expect:
            again = await case.request({"method": "GET", "query": POLLING + "&sid={sid}"})
            assert outcome(again) == expect["next"]
        await bystander.check()
        check_log(vector, found, warned())


def is_no_http(vector: dict[str, Any]) -> bool:
    return "\x01" in "".join(vector["input"].get("headers", {}).values())


@pytest.mark.parametrize(
    "vector", [vector for vector in ERRORS if is_no_http(vector)], ids=lambda vector: vector["id"]
)
async def test_what_other_servers_let_through_is_answered_as_its_vector_says(
    vector: dict[str, Any], warned: Callable[[], list[str]]
) -> None:
    given = vector["input"]
    async with testing.wire(EngineServer(), headers=given["headers"]) as wire:
        if "upgrade" in given:
            response = (await wire.websocket(given["upgrade"])).refused
        else:
            response = await wire.request(given["method"], given["query"])
        assert response is not None
        assert outcome(response) == vector["expect"]
        assert len(warned()) == 1


async def compare_pending(case: Case, expect: dict[str, Any]) -> None:
    if "pending" not in expect:
        return
    for (_, connection), expected in zip(case.pending, expect["pending"], strict=True):
        if expected is not None:
            answer = await connection.response()
            assert {"status": answer.status, "body": answer.text} == expected


def check_log(vector: dict[str, Any], found: dict[str, Any], lines: list[str]) -> None:
    """A fault of the peer has its line, and what is none has not."""
    expect, reason = vector["expect"], vector["expect"].get("close_reason")
    if "abort" in vector["input"] or reason == "transport close":
        assert lines == [] or "next" in expect
    elif reason is not None:
        assert any(f"closed ({reason}): " in line for line in lines), lines
    elif vector.get("session") == "closed":
        assert lines == [], "a client that comes back late is nothing to act on"
    elif found.get("status", 200) >= 400 or "websocket_close" in found:
        assert len(lines) == 1, lines
        assert len(lines[0]) > 20
    else:
        assert lines == []


# -- packets


def packet_runs() -> list[Any]:
    """Every vector by each way that carries its kind of input; limits are tested with `malformed-count`."""
    runs = []
    for vector in PACKETS:
        if "max_packets" in vector:
            continue
        ways = {"text": ("websocket", "polling"), "frame": ("websocket",), "payload": ("polling",)}
        (kind,) = vector["input"]
        runs += [pytest.param(vector, way, id=f"{vector['id']}-{way}") for way in ways[kind]]
    return runs


ENDS = {"close": "transport close", "ping": "transport error"}
"""Packets that end an open session though they can be read, and why."""


@pytest.mark.parametrize(("vector", "transport"), packet_runs())
async def test_a_packet_is_read_by_a_running_server_as_its_vector_says(
    vector: dict[str, Any], transport: str, warned: Callable[[], list[str]]
) -> None:
    expect = vector["expect"]
    packets = expect.get("packets", [])
    server = EngineServer()
    async with testing.wire(server) as wire:
        bystander = await Bystander.join(wire)
        client = await vectors.Client(wire, transport).open()
        await client.send_packet(vectors.data_of(next(iter(vector["input"].values()))))
        await wire.settle()
        ended = next((ENDS[packet["type"]] for packet in packets if packet["type"] in ENDS), None)
        if ended is None and "error" in expect:
            ended = "parse error"
        read = [packet.get("data") for packet in packets if packet["type"] == "message"]
        if ended in ENDS.values():
            read = read[:1]
        assert [vectors.shown(message) for message in server.messages] == read
        assert server.closed == ([] if ended is None else [ended])
        assert client.closed is (ended is not None)
        lines = warned()
        if ended is None or ended == "transport close":
            assert [line for line in lines if "closed (" in line] == []
        else:
            assert any(f"closed ({ended}): " in line for line in lines), lines
        await bystander.check()
