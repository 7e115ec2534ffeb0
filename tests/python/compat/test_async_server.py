"""What python-socketio's documentation promises of an `AsyncServer`, on the fast path."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from async_places import heard, place

import siox.compat.socketio as socketio
from waiting import PATIENCE, eventually

REFUSED = socketio.exceptions.ConnectionRefusedError


async def test_all_signatures_of_connect_handlers() -> None:
    calls: list[Any] = []

    class Chat(socketio.AsyncNamespace):  # type: ignore[misc]
        async def on_connect(self, sid: str, environ: Any) -> None:
            calls.append(("class", sid))

    async with place() as here:
        sio = here.sio
        sio.on("connect", lambda sid, environ, auth: calls.append(("three", auth)))
        sio.on("connect", lambda sid, environ: calls.append(("two", environ["PATH_INFO"])), namespace="/two")
        sio.on("connect", lambda *values: calls.append(("any", len(values))), namespace="/any")
        sio.on("connect", lambda name, sid, environ, auth: calls.append((name, auth)), namespace="*")
        sio.register_namespace(Chat("/class"))
        sio.namespaces = ["/", "/other"]
        everywhere = ["/", "/two", "/any", "/other", "/class"]
        client = await here.connect(auth={"token": 1}, namespaces=everywhere)
        assert calls[:4] == [
            ("three", {"token": 1}),
            ("two", "/socket.io/"),
            ("any", 3),
            ("/other", {"token": 1}),
        ]
        assert calls[4] == ("/class", {"token": 1})  # handlers of '*' come before classes
        assert sio.get_environ(client.get_sid())["REMOTE_ADDR"] == "127.0.0.1"
        assert sio._bridge.fast


async def test_refusals_and_faults_of_connect_handlers(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []

    async def refuse(sid: str, environ: Any) -> None:
        raise REFUSED("no", "way", 1)

    async def fail(sid: str, environ: Any) -> None:
        raise KeyError("broken")

    def unsendable(sid: str, environ: Any) -> None:
        raise REFUSED("no", object())

    def built_in(sid: str, environ: Any) -> None:
        raise ConnectionRefusedError

    async with place() as here:
        handlers: dict[str, Any] = {
            "/false": lambda *_: False,
            "/refused": refuse,
            "/failed": fail,
            "/builtin": built_in,
            "/object": unsendable,
        }
        for namespace, handler in handlers.items():
            here.sio.on("connect", handler, namespace=namespace)
            here.sio.on("disconnect", lambda *_: told.append("disconnect"), namespace=namespace)
        client = here.client()
        for namespace in [*handlers, "/unknown"]:
            client.on(
                "connect_error", lambda data, name=namespace: told.append((name, data)), namespace=namespace
            )
        with pytest.raises(socketio.exceptions.ConnectionError):
            await here.connect(client, namespaces=[*handlers, "/unknown"])
        assert sorted(told) == [
            ("/builtin", {"message": "Connection refused by server"}),
            ("/failed", {"message": "Connection rejected by server"}),
            ("/false", {"message": "Connection rejected by server"}),
            ("/object", {"message": "Unable to connect"}),
            ("/refused", {"message": "no", "data": ["way", 1]}),
            ("/unknown", {"message": "Unable to connect"}),
        ]
    assert "KeyError: 'broken'" in caplog.text


async def test_handlers_catch_alls_classes_and_acks() -> None:
    class Chat(socketio.AsyncNamespace):  # type: ignore[misc]
        async def on_add(self, sid: str, one: int, two: int) -> int:
            await self.emit("added", room=sid)
            return one + two

        def on_plain(self, sid: str) -> tuple[int, int]:
            return 1, 2

    async with place() as here:
        sio = here.sio
        sio.register_namespace(Chat("/chat"))
        sio.on("*", lambda event, sid, *values: ("any event", event, *values))
        sio.on("*", lambda event, namespace, sid, *values: [event, namespace], namespace="*")
        sio.on("named", lambda namespace, sid: namespace, namespace="*")

        @sio.event
        async def exact(sid: str, *values: Any) -> Any:
            await asyncio.sleep(0)
            return values or None

        @sio.on("in", namespace="/other")
        def inside(sid: str) -> dict[str, bytes]:
            return {"data": b"\0\1"}

        client = await here.connect(namespaces=["/", "/chat", "/other"])
        assert await client.call("exact") is None
        assert await client.call("exact", (1, [2])) == (1, [2])
        assert await client.call("strange", "x") == ("any event", "strange", "x")
        assert await client.call("in", namespace="/other") == {"data": b"\0\1"}
        assert await client.call("named", namespace="/other") == "/other"
        assert await client.call("what", namespace="/other") == ["what", "/other"]
        assert await client.call("plain", namespace="/chat") == ["plain", "/chat"]
        del sio.handlers["*"]
        assert await client.call("plain", namespace="/chat") == (1, 2)
        assert await client.call("add", (1, 2), namespace="/chat") == 3
        with pytest.raises(socketio.exceptions.TimeoutError):
            await client.call("what", namespace="/other", timeout=0.2)

        sio.on("exact", lambda sid: "another")
        assert await client.call("exact") == "another"


async def test_emits_callbacks_and_rooms() -> None:
    async with place() as here:
        sio = here.sio
        one, two = await here.connect(), await here.connect()
        first, second = one.get_sid(), two.get_sid()
        room = ("a", 1)
        await sio.enter_room(first, room)
        await sio.enter_room(first, 7)
        await sio.enter_room(second, "seven")
        await sio.enter_room(second, "\0odd")
        assert set(sio.rooms(first)) == {first, room, 7}
        assert set(sio.rooms(second)) == {second, "seven", "\0odd"}
        await sio.emit("list", room=[room, "seven"])
        await sio.emit("seven", (1, 2), to=7)
        await sio.emit("odd", {"b": [b"1"]}, room="\0odd")
        await sio.emit("skip", None, skip_sid=first)
        await sio.emit("except", [1, 2], except_room=[7], volatile=True)
        await sio.send("text", to=second)
        await sio.emit("nobody", room="nowhere")
        await sio.emit("nobody", room=[])
        await heard(one, ("list",), ("seven", 1, 2))
        await heard(
            two, ("list",), ("odd", {"b": [b"1"]}), ("skip",), ("except", [1, 2]), ("message", "text")
        )

        with pytest.raises(ValueError, match="sid room"):
            await sio.enter_room(first, second)
        with pytest.raises(ValueError, match="sid room"):
            await sio.close_room(first)
        with pytest.raises(ValueError, match="not connected"):
            await sio.enter_room(first, "x", namespace="/other")
        await sio.leave_room(first, room)
        await sio.close_room("seven")
        await sio.emit("nobody", room=[room, "seven"])

        answers: list[Any] = []

        async def answered(*values: Any) -> None:
            answers.append(values)

        one.on("ask", lambda value: (value, "one"))
        two.on("ask", lambda value: "two")
        await sio.emit("ask", 1, to=first, callback=answered)
        await sio.emit("ask", 1, to=second, callback=lambda *values: answers.append(values))
        await eventually(lambda: len(answers) == 2)
        assert sorted(answers, key=str) == [("two",), (1, "one")]
        assert await sio.call("ask", 5, to=first) == (5, "one")
        with pytest.raises(ValueError, match="broadcast"):
            await sio.call("ask")
        with pytest.raises(socketio.exceptions.TimeoutError):
            await sio.call("silent", to="nobody", timeout=0.05)


async def test_views_are_live() -> None:
    async with place() as here:
        sio, manager = here.sio, here.sio.manager
        client = await here.connect()
        sid = client.get_sid()
        await sio.enter_room(sid, "r")
        eio_sid = manager.eio_sid_from_sid(sid, "/")
        assert manager.rooms["/"]["r"][sid] == eio_sid
        assert list(manager.rooms["/"][None]) == [sid]
        assert manager.rooms["/"]["r"].inverse == {eio_sid: sid}
        assert set(manager.rooms["/"]) == {None, sid, "r"}
        assert "x" not in manager.rooms["/"]
        assert "/x" not in manager.rooms
        assert list(manager.get_participants("/", ["r", "x"])) == [(sid, eio_sid)]
        assert manager.sid_from_eio_sid(eio_sid, "/") == sid
        assert manager.sid_from_eio_sid(eio_sid, "/x") is None
        room = {sid: eio_sid}
        assert manager.rooms.copy().keys() == {"/"}
        assert manager.rooms["/"].copy() == {None: room, sid: room, "r": room}
        assert manager.rooms["/"]["r"].copy() == room
        assert len(manager.rooms) == 1
        assert len(manager.rooms["/"]) == 3
        assert repr(manager.rooms["/"]["r"]) == f"bidict({room!r})"
        assert repr(eio_sid) in repr(manager.rooms)
        assert repr(sid) in repr(manager.rooms["/"])
        for missing in (
            lambda: manager.rooms["/x"],
            lambda: manager.rooms["/"]["x"],
            lambda: manager.rooms["/"]["r"]["x"],
        ):
            with pytest.raises(KeyError):
                missing()
        other = (await here.connect()).get_sid()
        with pytest.raises(KeyError):
            manager.rooms["/"]["r"][other]
        await sio.disconnect(other)
        assert not manager.is_connected([], "/")
        await eventually(lambda: len(sio.environ) == 1)
        assert sio.eio.sockets.copy().keys() == {eio_sid}
        assert eio_sid in repr(sio.eio.sockets)
        assert list(sio.environ.keys()) == [key for key, _ in sio.environ.items()]
        assert list(sio.environ.values()) == [sio.environ[eio_sid]]
        assert sio.environ.get("x") is None
        assert manager.is_connected(sid, "/")
        assert not manager.is_connected(sid, "/other")
        assert list(sio.environ) == [eio_sid]
        assert sio.environ[eio_sid] is sio.get_environ(sid)
        assert sio.transport(sid) == "websocket"
        assert sio.eio.sockets[eio_sid].connected
        async with sio.session(sid) as session:
            session["x"] = 1
        async with sio.session(sid) as session:
            assert session == {"x": 1}
        assert await sio.eio.get_session(eio_sid) == {"/": {"x": 1}}
        await client.disconnect()
        await eventually(lambda: not manager.rooms)
        await eventually(lambda: not sio.environ and not sio.eio.sockets)
        with pytest.raises(KeyError):
            await sio.get_session(sid)


@pytest.mark.parametrize("always_connect", [False, True])
async def test_a_connect_handler_may_use_everything(always_connect: bool) -> None:
    async with place(always_connect=always_connect) as here:
        sio, gone = here.sio, []

        @sio.event
        async def connect(sid: str, environ: Any, auth: Any) -> Any:
            assert sio.manager.is_connected(sid, "/") is always_connect
            await sio.save_session(sid, {"auth": auth})
            await sio.enter_room(sid, "r")
            await sio.emit("to room", room="r")
            await asyncio.sleep(0.02)
            await sio.emit("to sid", to=sid)
            return auth is None

        @sio.event
        async def disconnect(sid: str, reason: str) -> None:
            await asyncio.sleep(0)
            gone.append((reason, set(sio.rooms(sid)) - {sid}, await sio.get_session(sid)))

        client = await here.connect()
        await heard(client, ("to room",), ("to sid",))
        await sio.disconnect(client.get_sid())
        assert gone == [("server disconnect", {"r"}, {"auth": None})]
        other = here.client()
        left: list[str] = []
        other.on("disconnect", left.append)
        try:
            await here.connect(other, auth={"not": "you"})
        except socketio.exceptions.ConnectionError:
            assert not always_connect
        else:
            await eventually(lambda: left)
        await eventually(lambda: not sio.manager.rooms)
        assert len(gone) == 1


async def test_reasons_of_disconnect_handlers() -> None:
    async with place() as here:
        sio, gone = here.sio, []
        sio.on("disconnect", lambda sid, reason: gone.append(reason))
        sio.on("disconnect", lambda sid: gone.append("one argument"), namespace="/old")
        client = await here.connect(transports=["polling"])
        await client.disconnect()
        await eventually(lambda: gone == ["client disconnect"])
        client = await here.connect(namespaces=["/", "/old"])
        await client.eio.ws.close()
        await eventually(lambda: sorted(gone[1:]) == ["one argument", "transport close"])
        reasons: list[str] = []
        client = here.client()
        client.on("disconnect", reasons.append)
        await here.connect(client)
        await sio.eio.disconnect(sio.manager.eio_sid_from_sid(client.get_sid(), "/"))
        await eventually(lambda: gone[3:] == reasons == ["server disconnect"])


async def test_faults_of_disconnect_handlers_are_their_own(caplog: pytest.LogCaptureFixture) -> None:
    called: list[Any] = []

    class Chat(socketio.AsyncNamespace):  # type: ignore[misc]
        def on_disconnect(self, sid: str) -> None:
            called.append("class")
            raise TypeError("from inside a class")

    def disconnect(sid: str, reason: str) -> None:
        called.append(reason)
        raise TypeError("from inside")

    async with place() as here:
        here.sio.on("disconnect", disconnect)
        here.sio.register_namespace(Chat("/class"))
        client = await here.connect(namespaces=["/", "/class"])
        await here.sio.disconnect(client.get_sid())
        await here.sio.disconnect(client.get_sid("/class"), namespace="/class")
        await eventually(lambda: not here.sio.manager.rooms)
        assert called == ["server disconnect", "class"]  # once each, unlike python-socketio's second try
    assert "from inside a class" in caplog.text


async def test_without_async_handlers_one_thing_comes_after_the_other() -> None:
    async with place(async_handlers=False) as here:
        sio, done = here.sio, []

        @sio.event
        async def connect(sid: str, environ: Any) -> None:
            await asyncio.sleep(0.02)
            done.append("connect")

        @sio.event
        async def wait(sid: str, seconds: float) -> float:
            await asyncio.sleep(seconds)
            done.append(seconds)
            return seconds

        @sio.event
        async def disconnect(sid: str, reason: str) -> None:
            done.append("disconnect")

        client = await here.connect()
        with pytest.raises(RuntimeError, match="async_handlers"):
            await sio.call("x", to=client.get_sid())
        await client.emit("wait", 0.05)
        await client.emit("wait", 0.02)
        assert await client.call("wait", 0) == 0
        await client.disconnect()
        await eventually(lambda: done == ["connect", 0.05, 0.02, 0, "disconnect"])


async def test_a_client_that_leaves_during_its_connect_handler_is_missed() -> None:
    async with place() as here:
        gone, begun, go_on = [], asyncio.Event(), asyncio.Event()

        @here.sio.event
        async def connect(sid: str, environ: Any) -> None:
            begun.set()
            await go_on.wait()

        here.sio.on("disconnect", lambda sid, reason: gone.append(reason))
        client = here.client()
        joining = asyncio.create_task(here.connect(client))
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
            await client.eio.ws.close()
            await asyncio.sleep(0.05)
            go_on.set()
            joining.cancel()
            await asyncio.gather(joining, return_exceptions=True)
        await eventually(lambda: gone == ["transport close"])
        await eventually(lambda: not here.sio.manager.rooms)


async def test_a_handler_that_fails_answers_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with place() as here:

        @here.sio.event
        async def broken(sid: str) -> None:
            raise LookupError("mine")

        @here.sio.event
        def few(sid: str) -> None: ...

        client = await here.connect()
        for name, values in (("broken", ()), ("few", (1, 2))):
            with pytest.raises(socketio.exceptions.TimeoutError):
                await client.call(name, values, timeout=0.1)
    assert "LookupError: mine" in caplog.text
    assert "takes 1 positional argument but 3 were given" in caplog.text
