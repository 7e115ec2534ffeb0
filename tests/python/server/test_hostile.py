"""`tests/vectors/hostile.json` over our own listener, byte by byte: protocol.md 11 and what else may come.

Nothing panics, blocks or grows; who is at fault is answered or closed, with a reason in the log; a
bystander on the same server notices nothing. Time is virtual.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest

import siox
import vectors
from raw import Connection, encode
from siox import testing
from siox.testing._arena import joined

if TYPE_CHECKING:
    from siox.testing._arena import Arena

VECTORS = vectors.read("hostile.json")
POLLING = "EIO=4&transport=polling"


class App:
    """What is attacked."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.io = siox.Server(**options)
        self.events: list[list[Any]] = []
        self.count = 0
        self.left: list[str] = []
        self.io.event("a", lambda socket, *values: self.events.append(["a", *values]))
        self.io.event("two", lambda socket, one, two: None)
        self.io.event("count", self.counted)
        self.io.on("disconnect", lambda socket, reason: self.left.append(reason))
        self.io.of("/bystander").event("echo", lambda socket, value: value)
        self.io.of(re.compile("^/room-"))

    def counted(self, socket: siox.Socket) -> None:
        self.count += 1


class Attack:
    """One vector under way.

    Attributes:
        connection: the one that the next step is about.
    """

    def __init__(self, app: App, arena: Arena, port: int) -> None:
        self.app, self.arena, self.port = app, arena, port
        self.sid = ""
        self.connection: Connection
        self._connections: list[Connection] = []
        self._transport = ""

    async def connect(self) -> Connection:
        connection = await Connection.open(self.port)
        self._connections.append(connection)
        return connection

    async def barrier(self) -> None:
        """What was sent before has been read when this is answered."""
        for _ in range(2):
            assert (await (await self.connect()).ask("GET", "", path="/")).status == 404

    async def set_up(self, session: str | None) -> None:
        self.connection = await self.connect()
        if session is None:
            return
        self._transport = "polling" if session == "polling" else "websocket"
        if session == "polling":
            opened = await self.connection.ask("GET", POLLING)
            self.sid = json.loads(opened.text[1:])["sid"]
            await (await self.connect()).ask("POST", f"{POLLING}&sid={self.sid}", body=b"40")
            await (await self.connect()).ask("GET", f"{POLLING}&sid={self.sid}")
            return
        self.connection.upgrade("EIO=4&transport=websocket")
        assert (await self.connection.response()).status == 101
        self.sid = json.loads((await self.connection.text())[1:])["sid"]
        if session == "websocket":
            self.connection.frame(b"40")
            assert (await self.connection.text()).startswith("40{")

    async def take(self, step: dict[str, Any]) -> None:
        """Do one step of the vector."""
        times = step.get("times", 1)
        if "bytes" in step:
            data = as_bytes(step["bytes"])
            self.connection.send(data.replace(b"{sid}", self.sid.encode()))
        elif "frame" in step:
            how = {key: step[key] for key in ("opcode", "final", "masked", "reserved") if key in step}
            frame = encode(as_bytes(step["frame"]), **how)
            self.connection.send(frame[: step.get("cut")] * times)
        elif "message" in step:
            for number in range(times):
                self.connection.frame(as_bytes(step["message"]).replace(b"{n}", str(number).encode()))
        elif "request" in step:
            self.connection = await self.connect()
            method, query = step["request"]
            body = as_bytes(step["body"]) if "body" in step else None
            query = query.replace("{sid}", self.sid)
            self.connection.request(
                method, query, body=body, length=step.get("length"), headers=step.get("headers")
            )
        elif "post" in step:
            await self.barrier()
            self.connection = await self.connect()
            self.connection.request("POST", f"{POLLING}&sid={self.sid}", body=as_bytes(step["post"]))
        elif "upgrade" in step:
            self.connection = await self.connect()
            self.connection.upgrade(step["upgrade"].replace("{sid}", self.sid))
            assert (await self.connection.response()).status == 101
        elif "emit" in step:
            for _ in range(times):
                self.app.io.emit("fill", "x" * step["emit"])
                await asyncio.sleep(0)
            await self.barrier()
        elif "wait" in step:
            await self.barrier()
            await self.arena.advance(step["wait"])
            await self.barrier()
        elif "open" in step:
            assert not self.connection.at_end()
        elif "status" in step:
            assert (await self.connection.response()).status == step["status"]
        else:
            status, count = step["statuses"]
            assert [(await self.connection.response()).status for _ in range(count)] == [status] * count

    async def compare(self, expect: dict[str, Any], session: str | None) -> None:
        if "status" in expect:
            assert (await self.connection.response()).status == expect["status"]
        if "websocket_close" in expect:
            assert await self.connection.close_code() == expect["websocket_close"]
        if "ended" in expect:
            await self.connection.ended()
        if session == "websocket" and expect.get("reason") is None:
            assert await self.connection.is_open()
        await self.barrier()
        await self.arena.settle()
        if session in {"websocket", "polling"}:
            reason = expect.get("reason")
            assert self.app.left == ([] if reason is None else [reason])
        if "events" in expect:
            assert self.app.events == expect["events"]
        assert self.app.count == expect.get("count", 0)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def as_bytes(value: Any) -> bytes:
    data = vectors.data_of(value)
    return data.encode() if isinstance(data, str) else data


@contextlib.asynccontextmanager
async def attacked(options: dict[str, Any]) -> AsyncIterator[tuple[Attack, testing.Peer]]:
    app = App(options)
    async with joined(app.io) as arena, testing.connect(app.io, "/bystander") as bystander:
        listener = await app.io.listen(port=0)
        attack = Attack(app, arena, listener.port)
        try:
            yield attack, bystander
        finally:
            attack.close()


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
async def test_an_attack_ends_as_its_vector_says_and_a_bystander_notices_nothing(
    vector: dict[str, Any], warned: Callable[[], list[str]]
) -> None:
    expect, session = vector["expect"], vector.get("session")
    async with attacked(vector.get("options", {})) as (attack, bystander):
        await attack.set_up(session)
        warned()
        for step in vector["input"]:
            await attack.take(step)
        assert await bystander.emit_with_ack("echo", 1) == 1
        await attack.compare(expect, session)
        assert await bystander.emit_with_ack("echo", 2) == 2
        lines = warned()
        if expect["log"] is None:
            assert lines == []
        else:
            assert any(re.search(expect["log"], line) for line in lines), lines
            assert len(lines) <= 2, "no attack floods the log"


def test_every_row_has_a_vector_and_every_vector_a_row() -> None:
    known = {f"{name}/{vector['id']}" for name in FILES for vector in vectors.read(name)}
    own = {vector["id"] for vector in VECTORS}
    named: set[str] = set()
    for line in (vectors.FOLDER / "hostile_rows.txt").read_text().splitlines():
        row, _, ids = line.partition(": ")
        assert ids, f"no vector for the row {row!r}"
        named |= set(ids.split())
    assert {each for each in named if "/" in each} <= known
    assert {each for each in named if "/" not in each} == own


FILES = ("socket_packets.json", "engine_errors.json", "engine_packets.json")
