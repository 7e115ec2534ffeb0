"""The blocking server of the drop-in, on both of its paths, with python-socketio's own clients."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sync_places import HANGS_UP, PATHS, Joined, Seen, answer, joined, serving

import siox.compat.socketio as socketio
from waiting import PATIENCE, eventually


class Place:
    """An application that is served.

    Attributes:
        seen: what its handlers note.
        gate: what a handler waits for.
    """

    def __init__(self, path: str) -> None:
        self.seen = Seen()
        self.gate = threading.Event()
        self.both = threading.Barrier(2)
        self.sio = PATHS[path](async_mode="threading", namespaces=["/open"])
        self.url = ""
        self.path = path
        self._register()

    def _register(self) -> None:
        sio, seen = self.sio, self.seen

        @sio.event
        def connect(sid: str, environ: dict[str, Any], auth: Any) -> Any:
            if auth == {"be": "refused"}:
                return False
            if auth == {"be": "told why"}:
                raise socketio.exceptions.ConnectionRefusedError("not you", {"code": 1})
            if auth == {"be": "faulty"}:
                raise ValueError("a fault of the application")
            environ["ours"] = auth
            sio.save_session(sid, {"auth": auth})
            sio.enter_room(sid, "all")
            return None

        @sio.event
        def disconnect(sid: str, reason: str) -> None:
            seen.note("disconnect", (reason, sorted(map(str, sio.rooms(sid)))))

        @sio.event
        def echo(sid: str, *values: Any) -> Any:
            return values

        @sio.event
        def environ(sid: str) -> Any:
            found = sio.get_environ(sid)
            with sio.session(sid) as session:
                session["asked"] = session.get("asked", 0) + 1
            return found["REMOTE_ADDR"], found["QUERY_STRING"] != "", found["ours"], sio.get_session(sid)

        @sio.event
        def join(sid: str, room: Any) -> Any:
            sio.enter_room(sid, room)
            return sorted(map(str, sio.rooms(sid)))

        @sio.event
        def say(sid: str, room: Any, text: Any) -> None:
            sio.emit("said", text, to=room, skip_sid=sid)

        @sio.event
        def ask(sid: str, text: str) -> Any:
            return sio.call("question", text, to=sid, timeout=PATIENCE)

        @sio.event
        def meet(sid: str) -> str:
            self.both.wait(PATIENCE)
            return "met"

        @sio.event
        def fail(sid: str) -> None:
            raise RuntimeError("a fault of the application")

        @sio.event
        def leave(sid: str) -> None:
            sio.disconnect(sid)
            seen.note("left", sio.manager.is_connected(sid, "/"))

        @sio.event
        def tell(sid: str, text: Any) -> None:
            sio.emit("told", text, to=sid, callback=lambda *values: seen.note("answer", values))

        @sio.event
        def later(sid: str) -> None:
            def work(text: str) -> None:
                sio.sleep(0.001)
                sio.emit("done", text, to=sid)

            sio.start_background_task(work, "work").join()

        @sio.on("*", namespace="/any")
        def anything(event: str, sid: str, *values: Any) -> Any:
            return event, *values

        sio.register_namespace(Chat("/chat"))


class Chat(socketio.Namespace):  # type: ignore[misc, name-defined]
    """Handlers of a class."""

    def on_connect(self, sid: str, environ: dict[str, Any]) -> None:
        """One without the auth value, as they used to be."""
        self.enter_room(sid, "chat")

    def on_shout(self, sid: str, text: str) -> str:
        """Tell everybody."""
        self.emit("shouted", text.upper(), room="chat")
        return self.namespace

    def on_disconnect(self, sid: str) -> None:
        """One without the reason, as they used to be."""


@pytest.fixture(scope="module", params=["fast", "visible"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    made = Place(request.param)
    with serving(socketio.WSGIApp(made.sio)) as url:
        made.url = url
        yield made


@contextlib.asynccontextmanager
async def two(place: Place, **how: Any) -> AsyncIterator[tuple[Joined, Joined]]:
    async with joined(place.url, **how) as ada, joined(place.url, **how) as bob:
        yield ada, bob


@pytest.mark.parametrize("transport", ["websocket", "polling", "upgrade"])
async def test_an_event_is_answered_over_each_transport(place: Place, transport: str) -> None:
    async with joined(place.url, transport) as client:
        values = ("text", {"k": [1, 2.5, None]}, b"\x00\xff")
        assert await client.call("echo", values) == values
        assert await client.call("echo") is None
        if transport == "upgrade":
            await eventually(lambda: client.transport() == "websocket")
            await eventually(lambda: place.sio.transport(client.get_sid()) == "websocket")
        else:
            assert place.sio.transport(client.get_sid()) == transport
        assert await client.call("echo", "after") == "after"


async def test_environ_and_session_stay_with_the_client(place: Place) -> None:
    async with joined(place.url, auth={"name": "ada"}) as client:
        who = {"name": "ada"}
        assert await client.call("environ") == ("127.0.0.1", True, who, {"auth": who, "asked": 1})
        assert (await client.call("environ"))[3] == {"auth": who, "asked": 2}


async def test_a_client_may_be_refused_with_a_reason(place: Place) -> None:
    assert await answer(place.url, b'40{"be":"refused"}') == '44{"message":"Connection rejected by server"}'
    failed = await answer(place.url, b'40{"be":"faulty"}')
    assert failed == '44{"message":"Connection rejected by server"}'
    told = await answer(place.url, b'40{"be":"told why"}')
    assert told == '44{"message":"not you","data":{"code":1}}'
    await eventually(lambda: not place.sio.eio.sockets)


async def test_namespaces_of_classes_catch_alls_and_extra_ones(place: Place) -> None:
    async with joined(place.url, namespaces=["/chat", "/any", "/open"]) as client:
        assert await client.call("shout", "hello", namespace="/chat") == "/chat"
        assert await client.call("whatever", (1, 2), namespace="/any") == ("whatever", 1, 2)
    # Mended: python-socketio answers with a bare string.
    assert await answer(place.url, b"40/closed,") == '44/closed,{"message":"Unable to connect"}'


async def test_rooms_are_any_hashable_and_skip_who_says_it(place: Place) -> None:
    async with two(place) as (ada, bob):
        assert await ada.call("join", "tea") == sorted([ada.get_sid(), "all", "tea"])
        assert await ada.call("join", 7) == sorted([ada.get_sid(), "all", "tea", "7"])
        await bob.call("join", "tea")
        await bob.call("join", 7)
        await ada.emit("say", ("tea", "to tea"))
        assert await bob.heard.next() == ("said", "to tea")
        await ada.emit("say", (7, b"to seven"))
        assert await bob.heard.next() == ("said", b"to seven")
        await ada.emit("say", ([7, "tea"], "once"))
        assert await bob.heard.next() == ("said", "once")
        place.sio.close_room("tea")
        place.sio.emit("all", {"n": 1})
        assert await ada.heard.next() == ("all", {"n": 1})
        assert await bob.heard.next() == ("all", {"n": 1})
        assert sorted(sid for sid, _ in place.sio.manager.get_participants("/", 7)) == sorted(
            [ada.get_sid(), bob.get_sid()]
        )
        assert place.sio.manager.rooms["/"][7][ada.get_sid()] == place.sio.manager.eio_sid_from_sid(
            ada.get_sid(), "/"
        )
        with pytest.raises(ValueError, match="cannot enter a sid room"):
            place.sio.enter_room(ada.get_sid(), bob.get_sid())
        with pytest.raises(ValueError, match="not connected"):
            place.sio.enter_room("nobody", "tea", namespace="/nowhere")


async def test_handlers_of_one_client_run_at_the_same_time(place: Place) -> None:
    async with joined(place.url) as client:
        assert await asyncio.gather(client.call("meet"), client.call("meet")) == ["met", "met"]


async def test_a_handler_waits_in_call_for_its_own_client(place: Place) -> None:
    async with joined(place.url) as client:
        client.on("question", lambda text: (text, "answer"))
        assert await client.call("ask", "question") == ("question", "answer")


async def test_callbacks_and_background_tasks(place: Place) -> None:
    async with joined(place.url) as client:
        client.on("told", lambda text: (text, 2))
        place.seen.rest()
        await client.emit("tell", b"\x01")
        assert await place.seen.next() == ("answer", (b"\x01", 2))
        await client.emit("later")
        assert await client.heard.next() == ("done", "work")


async def test_a_fault_of_a_handler_ends_nothing(place: Place) -> None:
    async with joined(place.url) as client:
        await client.emit("fail")
        assert await client.call("echo", 1) == 1


async def test_who_leaves_is_heard_of_with_the_reason(place: Place) -> None:
    for transport, reason in [("polling", "client disconnect"), ("websocket", HANGS_UP)]:
        async with joined(place.url, transport) as client:
            sid = client.get_sid()
            place.seen.rest()
            await client.close()
            # Its rooms stand while the handler runs.
            assert await place.seen.next() == ("disconnect", (reason, sorted([sid, "all"])))
            await eventually(lambda sid=sid: place.sio.rooms(sid) == [])
    async with joined(place.url) as client:
        sid = client.get_sid()
        await client.emit("leave")
        assert await place.seen.next() == ("disconnect", ("server disconnect", sorted([sid, "all"])))
        assert await place.seen.next() == ("left", False)
        await eventually(lambda: not client.connected)
    async with joined(place.url) as client:
        place.sio.eio.disconnect(client.eio.sid)
        assert (await place.seen.next())[1][0] == "server disconnect"
        await eventually(lambda: not client.connected)
    await eventually(lambda: not place.sio.eio.sockets)
    assert not place.sio.environ
    assert not place.sio.manager.rooms
