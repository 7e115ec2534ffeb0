"""`tests/vectors/socket_packets.json` against a running server: every row of protocol.md 3.2 and 3.4."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

import siox
import vectors
from siox import testing

VECTORS = vectors.read("socket_packets.json")
EVENTS = {str(event["name"]) for vector in VECTORS for event in vector["expect"].get("events", [])}
EVENTS |= {"late", "later"}
OPEN = ("/", "/admin", "/greeting")


class App:
    """The application under test; see the README of the vectors."""

    def __init__(self) -> None:
        self.io = siox.Server()
        self.events: list[Any] = []
        self.acks: list[Any] = []
        self.left: list[str] = []
        self._asked = 0
        self._bystanders: set[str] = set()
        for name in OPEN:
            namespace = self.io.of(name)
            for event in EVENTS:
                namespace.event(event, self._handler(event))
            namespace.on("disconnect", self._disconnect)
        self.io.of("/greeting").on("connection", lambda socket: socket.emit("hello"))
        self.io.of("/bystander").event("echo", lambda socket, value: value)
        self.io.of("/pending").use(lambda socket: asyncio.Event().wait())  # type: ignore[type-var]

        @self.io.of("/refused").use
        def refuse(socket: siox.Socket) -> None:
            raise siox.RefusedError("refused", {"why": 1})

    def _handler(self, event: str) -> Callable[..., Any]:
        def handler(socket: siox.Socket, ack: siox.Ack, *values: Any) -> None:
            self.events.append(
                {"namespace": socket.namespace.name, "name": event, "args": vectors.shown(values)}
            )
            ack(*values)
            if event == "ask":
                self._asked += 1
                asked = self._asked
                socket.emit(
                    "question",
                    *values,
                    ack=lambda *got: self.acks.append({"id": asked, "args": vectors.shown(got)}),
                )
            elif event == "leave":
                socket.disconnect()

        return handler

    def _disconnect(self, socket: siox.Socket, reason: str) -> None:
        self.left.append(reason)


async def run(app: App, wire: testing.Wire, vector: dict[str, Any], transport: str) -> vectors.Client:
    client = await vectors.Client(wire, transport).open()
    for namespace in vector["join"]:
        await client.give(f"0{namespace},")
    client.replies.clear()
    for given in vector["input"]:
        if client.closed:
            break
        if isinstance(given, dict) and "wait" in given:
            await client.wait(given["wait"])
        elif isinstance(given, dict) and "payload" in given:
            await client.give(*map(vectors.data_of, given["payload"]))
        else:
            await client.give(vectors.data_of(given))
    return client


def compared(replies: list[Any]) -> list[Any]:
    return [
        re.sub(r'"sid":"[\w-]{20}"', '"sid":"<sid>"', reply)
        if isinstance(reply, str)
        else vectors.shown(reply)
        for reply in replies
    ]


def runs() -> list[Any]:
    """Every vector over each transport; binary ones near the limit are beyond that of a body, as base64."""
    return [
        pytest.param(vector, transport, id=f"{vector['id']}-{transport}")
        for vector in VECTORS
        for transport in ("websocket", "polling")
        if transport == "websocket" or "binary" not in {key for each in vector["input"] for key in each}
    ]


@pytest.mark.parametrize(("vector", "transport"), runs())
async def test_a_vector_comes_out_as_it_says_and_a_bystander_notices_nothing(
    vector: dict[str, Any], transport: str, warned: Callable[[], list[str]]
) -> None:
    app, expect = App(), vector["expect"]
    async with testing.connect(app.io, "/bystander") as bystander, testing.wire(app.io) as wire:
        client = await run(app, wire, vector, transport)
        assert app.events == [{**event, "name": str(event["name"])} for event in expect.get("events", [])]
        assert compared(client.replies) == expect.get("replies", [])
        assert app.acks == expect.get("acks", [])
        assert client.closed is expect["close"]
        lines = [line for line in warned() if "closed (" in line]
        if expect["close"]:
            (line,) = lines
            assert re.search(r"closed \(forced close\): .+", line), line
            left_before = {"client namespace disconnect", "server namespace disconnect"}
            assert set(app.left) <= left_before | {"forced close"}
            assert "forced close" in app.left or set(app.left) & left_before or not vector["join"]
            assert app.io.stats()["sessions"] == 1, "the bystander's"
        else:
            assert lines == []
        assert await bystander.emit_with_ack("echo", vector["id"]) == vector["id"]
        assert bystander.connected


def test_every_row_has_its_vector_and_every_vector_its_row() -> None:
    assert {vector["id"] for vector in VECTORS} == vectors.rows("socket_rows.txt")
