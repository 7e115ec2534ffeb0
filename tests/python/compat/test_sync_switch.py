"""A hook puts a blocking server on the Python-visible path while clients are connected: nothing is lost."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from sync_places import Joined, Seen, joined, raw, serving

import siox.compat.socketio as socketio
from waiting import PATIENCE, eventually


class Place:
    """A server whose handlers wait when they are told to.

    Attributes:
        seen: what handlers note.
        sent: packets that went through the hook.
        go_on: what handlers wait for.
    """

    def __init__(self, **options: Any) -> None:
        sio = self.sio = socketio.Server(async_mode="threading", **options)
        seen = self.seen = Seen()
        go_on = self.go_on = threading.Event()
        self.sent: list[Any] = []

        @sio.event
        def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
            sio.enter_room(sid, "room")
            sio.enter_room(sid, 7)
            sio.save_session(sid, {"kept": True})
            environ["mine"] = "kept"
            if auth == {"wait": True}:
                seen.note("connecting")
                go_on.wait(PATIENCE)

        @sio.event
        def disconnect(sid: str, reason: str) -> None:
            seen.note("gone", (sid, set(sio.rooms(sid))))

        @sio.event
        def slow(sid: str) -> str:
            seen.note("slow")
            go_on.wait(PATIENCE)
            return "late"

        @sio.event
        def echo(sid: str, *values: Any) -> Any:
            return values

    def leave_the_fast_path(self) -> None:
        """Set a hook."""
        plain = self.sio._send_packet

        def hook(eio_sid: str, packet: Any) -> None:
            self.sent.append(packet.data)
            plain(eio_sid, packet)

        assert self.sio._bridge.fast
        self.sio._send_packet = hook
        assert not self.sio._bridge.fast


async def check(place: Place, client: Joined) -> None:
    sio, sid = place.sio, client.get_sid()
    assert await client.call("echo", (1, b"2")) == (1, b"2")
    assert set(sio.rooms(sid)) == {sid, "room", 7}
    assert sio.get_environ(sid)["mine"] == "kept"
    assert sio.get_session(sid) == {"kept": True}
    sio.emit("to seven", b"7", to=7)
    assert await client.heard.next() == ("to seven", b"7")


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_whoever_is_connected_comes_along(transport: str) -> None:
    place = Place()
    with serving(socketio.WSGIApp(place.sio)) as url:
        async with joined(url, transport) as client:
            sid = client.get_sid()
            await check(place, client)
            answered = asyncio.Event()

            async def question(text: str) -> str:
                await answered.wait()
                return text.upper()

            client.on("question", question)
            place.sio.emit("question", "why", to=sid, callback=lambda text: place.seen.note("answer", text))
            late = asyncio.create_task(client.call("slow"))
            assert await place.seen.next() == ("slow", ())
            joining = asyncio.create_task(connecting(url, transport))
            assert await place.seen.next() == ("connecting", ())
            place.leave_the_fast_path()
            await check(place, client)
            place.go_on.set()
            answered.set()
            assert await late == "late"
            assert await place.seen.next() == ("answer", "WHY")
            other = await joining
            await check(place, other)
            assert await client.heard.next() == ("to seven", b"7")
            assert len(place.sio.manager.rooms["/"][None]) == 2
            await other.close()
            assert (await place.seen.next())[0] == "gone"
            place.sio.disconnect(sid)
            assert await place.seen.next() == ("gone", (sid, {sid, "room", 7}))
            await eventually(lambda: not client.connected)
        await eventually(lambda: not place.sio.eio.sockets)
        assert place.sent
        assert not place.sio.manager.rooms
        await asyncio.to_thread(place.sio.shutdown)


async def connecting(url: str, transport: str) -> Joined:
    client = Joined()
    await client.connect(url, auth={"wait": True}, transports=[transport], wait_timeout=PATIENCE)
    return client


async def test_who_leaves_while_it_connects_is_heard_of_on_either_path() -> None:
    for switch in (False, True):
        place = Place()
        with serving(socketio.WSGIApp(place.sio)) as url:
            async with raw(url) as client:
                await client.text()
                client.frame(b'40{"wait":true}')
                assert await place.seen.next() == ("connecting", ())
                if switch:
                    place.leave_the_fast_path()
            place.go_on.set()
            assert (await place.seen.next())[0] == "gone"
            await eventually(lambda place=place: not place.sio.eio.sockets)
            assert not place.sio.manager.rooms
            await asyncio.to_thread(place.sio.shutdown)


async def test_rooms_that_are_entered_meanwhile_are_not_lost() -> None:
    place = Place()
    with serving(socketio.WSGIApp(place.sio)) as url:
        async with joined(url) as client:
            sid = client.get_sid()
            stop = threading.Event()
            entered: list[int] = []

            def enter(room: int) -> None:
                while not stop.is_set():
                    place.sio.enter_room(sid, room)
                    entered.append(room)
                    room += 2

            threads = [threading.Thread(target=enter, args=(first,)) for first in (100, 101)]
            for thread in threads:
                thread.start()
            await asyncio.sleep(0.01)
            await asyncio.to_thread(place.leave_the_fast_path)
            stop.set()
            for thread in threads:
                thread.join()
            assert set(place.sio.rooms(sid)) == {sid, "room", 7, *entered}
        await asyncio.to_thread(place.sio.shutdown)
