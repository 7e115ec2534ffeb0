"""The switch to the visible path, whatever is under way: nobody is forgotten, and nobody stays."""

from __future__ import annotations

import asyncio
from typing import Any

from wire import Site, site

import siox.compat.socketio as socketio
from waiting import eventually


def switch(sio: Any) -> None:
    """Set a hook that changes nothing."""
    send = sio._send_packet

    async def hook(eio_sid: str, packet: Any) -> None:
        await send(eio_sid, packet)

    sio._send_packet = hook
    assert not sio._bridge.fast


async def nobody_is_left(here: Site) -> None:
    """Wait until all is forgotten."""
    sio = here.sio
    await eventually(lambda: not sio.manager.rooms and not sio.environ and not sio.eio.sockets)
    assert not getattr(sio.manager, "pending_disconnect", None)
    assert not getattr(sio.manager, "pending_connect", None)


class Slow:
    """Handlers of a namespace that wait until they may go on."""

    def __init__(self, sio: Any, *namespaces: str) -> None:
        self.told: list[str] = []
        self.may_join, self.may_leave = asyncio.Event(), asyncio.Event()
        for namespace in namespaces:
            sio.on("connect", self._connect, namespace=namespace)
            sio.on("disconnect", self._disconnect, namespace=namespace)

    async def _connect(self, sid: str, environ: Any) -> None:
        self.told.append("connect")
        await self.may_join.wait()

    async def _disconnect(self, sid: str, reason: str) -> None:
        await self.may_leave.wait()
        self.told.append(reason)


async def test_while_one_leaves_who_has_joined_again() -> None:
    async with site("siox") as here:
        slow = Slow(here.sio, "/")
        slow.may_join.set()
        async with here.wire() as wire, here.wire() as other:
            await wire.join()
            await other.join()
            await wire.send("1", "0")
            await eventually(lambda: here.sio._bridge.by_sid and len(here.sio._bridge.clients["/"]) == 3)
            switch(here.sio)
            slow.may_leave.set()
            assert str(await wire.read()).startswith("0{")
            assert await other.answers()
            assert await wire.answers()
        await nobody_is_left(here)
        assert slow.told == ["connect"] * 2 + ["client disconnect", "connect"] + ["transport close"] * 2


async def test_while_one_that_has_gone_still_joins() -> None:
    async with site("siox") as here:
        slow = Slow(here.sio, "/")
        slow.may_leave.set()
        async with here.wire() as wire:
            await wire.send("0")
            await eventually(lambda: slow.told)
        await eventually(lambda: any(client.left for client in here.sio._bridge.clients["/"].values()))
        switch(here.sio)
        slow.may_join.set()
        await nobody_is_left(here)
        assert slow.told == ["connect", "transport close"]


async def test_while_one_joins_two_namespaces() -> None:
    async with site("siox") as here:
        slow = Slow(here.sio, "/", "/two")
        slow.may_leave.set()
        async with here.wire() as wire:
            await wire.send("0", "0/two,")
            await eventually(lambda: len(here.sio._bridge.clients) == 2)
            switch(here.sio)
            slow.may_join.set()
            assert str(await wire.read()).startswith("0{")
            assert str(await wire.read()).startswith("0/two,{")
        await nobody_is_left(here)
        assert slow.told == ["connect", "connect", "transport close", "transport close"]


async def test_while_a_refusal_that_cannot_be_sent_is_made() -> None:
    async with site("siox") as here:
        sio, go = here.sio, asyncio.Event()

        @sio.on("connect", namespace="/no")
        async def connect(sid: str, environ: Any) -> None:
            await go.wait()
            raise socketio.exceptions.ConnectionRefusedError("no", object())

        async with here.wire() as wire:
            await wire.send("0/no,", "0")
            await eventually(lambda: "/no" in sio._bridge.clients)
            switch(sio)
            go.set()
            assert await wire.read() == '4/no,{"message":"Unable to connect"}'
            assert str(await wire.read()).startswith("0{")
        await nobody_is_left(here)


async def test_with_a_goodbye_that_was_read_in_the_same_turn() -> None:
    async with site("siox", namespaces=["/", "/x"]) as here:
        sio, told = here.sio, []
        sio.on("switch", lambda sid: switch(sio))

        @sio.on("disconnect")
        async def disconnect(sid: str, reason: str) -> None:
            told.append(
                (reason, len(sio.rooms(sid)), await sio.get_session(sid), sio.get_environ(sid)["EIO"])
            )

        async with here.wire() as wire:
            await wire.join()
            await wire.join("/x,")
            (sid,) = sio.manager.rooms["/"][None]
            sio.get_environ(sid)["EIO"] = 4
            await sio.save_session(sid, {"user": "ada"})
            # Both in one frame of the engine's work: the end is there before the switch, and told behind it.
            sio._bridge.engine.disconnect(sio._bridge.client("/", sid)._key, False)
            switch(sio)
            await eventually(lambda: told)
        assert told == [("server disconnect", 1, {"user": "ada"}, 4)]
        await nobody_is_left(here)


class Bus(socketio.AsyncPubSubManager):  # type: ignore[misc]
    """A manager whose other servers say nothing."""

    name = "bus"

    async def _publish(self, data: Any) -> None:
        pass

    async def _listen(self) -> Any:
        await asyncio.Event().wait()
        yield


async def test_while_answers_are_awaited_by_a_manager() -> None:
    async with site("siox", client_manager=Bus()) as here:
        sio, told = here.sio, []
        async with here.wire() as wire:
            await wire.join()
            (sid,) = sio.manager.rooms["/"][None]
            # The engine's first number is the second of the manager's.
            sio.manager._generate_ack_id(sid, lambda *values: told.append(("nobody", values)))
            for number in range(3):
                await sio.emit("ask", number, to=sid, callback=lambda *values: told.append(values))
            asked = [str(await wire.read()) for _ in range(3)]
            switch(sio)
            for number in range(3, 5):
                await sio.emit("ask", number, to=sid, callback=lambda *values: told.append(values))
            asked += [str(await wire.read()) for _ in range(2)]
            ids = [text[1 : text.index("[")] for text in asked]
            assert len(set(ids)) == 5
            for place in (1, 0, 4, 2, 3):
                await wire.send(f"3{ids[place]}[{place}]")
            await eventually(lambda: len(told) == 5)
        assert told == [(1,), (0,), (4,), (2,), (3,)]


async def test_names_of_rooms_and_namespaces_are_forgotten() -> None:
    async with site("siox", namespaces="*") as here:
        sio = here.sio
        for number in range(30):
            async with here.wire() as wire:
                await wire.join(f"/{number},")
                (sid,) = sio.manager.rooms[f"/{number}"][None]
                for room in range(100):
                    await sio.enter_room(sid, (number, room), namespace=f"/{number}")
            await eventually(lambda: not sio.manager.rooms)
        assert len(sio._bridge.aliases._alias_of) < 1100
        assert not sio._bridge.tables._tables


async def test_environs_are_a_mapping() -> None:
    async with site("siox") as here:
        sio = here.sio
        async with here.wire() as wire:
            await wire.join()
            (eio_sid,) = sio.environ
            assert (len(sio.environ), sio.environ != {}, sio.environ.get("nobody")) == (1, True, None)
            environ = sio.environ.setdefault(eio_sid, {})
            assert environ["PATH_INFO"] == "/socket.io/"
            assert sio.environ == sio.environ.copy() == sio.environ | {} == {eio_sid: environ}
            assert list(sio.environ.items()) == [(eio_sid, environ)]
            assert repr(sio.environ) == repr({eio_sid: environ})
            del sio.environ[eio_sid]
            assert eio_sid not in sio.environ
            assert not sio.environ
            sio.environ[eio_sid] = {"mine": 1}
            sio.environ["mine"] = {}
            assert (len(sio.environ), sio.environ[eio_sid]) == (2, {"mine": 1})
            del sio.environ["mine"]
        await nobody_is_left(here)


async def test_an_origin_that_cannot_be_checked_is_refused() -> None:
    def allowed(origin: str) -> bool:
        raise RuntimeError("the database is down")

    async with site("siox", cors_allowed_origins=allowed) as here:
        url, headers = f"{here.url}&transport=polling", {"Origin": "http://here"}
        async with here.session.get(url, headers=headers) as response:
            assert response.status == 403
