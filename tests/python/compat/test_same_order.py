"""In which order the handlers of a connection run, and what they see: as python-socketio, on either path."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from socketio import exceptions
from wire import SERVERS, THREADS, site

from waiting import PATIENCE, eventually

ALL = pytest.mark.parametrize("library", SERVERS)
AND_THREADS = pytest.mark.parametrize("library", [*SERVERS, THREADS])


class Colour(enum.IntEnum):
    """Rooms that are equal to numbers."""

    RED = 1


@ALL
async def test_connect_handlers_of_a_connection_run_one_after_the_other(library: str) -> None:
    async with site(library) as here:
        told: list[str] = []
        for namespace in ("/", "/chat"):

            async def connect(sid: str, environ: Any, *, namespace: str = namespace) -> None:
                told.append(f"{namespace} begins, {environ.get('user')}")
                await asyncio.sleep(0.02)
                environ["user"] = "ada"
                told.append(f"{namespace} ends")

            here.sio.on("connect", connect, namespace=namespace)
        async with here.wire() as wire:
            await wire.send("0", "0/chat,")
            assert {(await wire.read())[:2], (await wire.read())[:2]} == {"0{", "0/"}  # type: ignore[index]
        assert told == ["/ begins, None", "/ ends", "/chat begins, ada", "/chat ends"]


@ALL
async def test_who_comes_back_waits_for_its_own_goodbye(library: str) -> None:
    async with site(library) as here:
        online: set[str] = set()

        @here.sio.on("connect")
        async def connect(sid: str, environ: Any) -> None:
            online.add("ada")

        @here.sio.on("disconnect")
        async def disconnect(sid: str, reason: str) -> None:
            await asyncio.sleep(0.02)
            online.discard("ada")

        async with here.wire() as wire:
            await wire.join()
            await wire.send("1", "0")
            assert str(await wire.read()).startswith("0{")
            assert online == {"ada"}


@ALL
@pytest.mark.parametrize("end", ["event", "goodbye"])
async def test_with_always_connect_all_waits_for_the_connect_handler(library: str, end: str) -> None:
    async with site(library, always_connect=True) as here:
        sio, told = here.sio, []

        @sio.on("connect")
        async def connect(sid: str, environ: Any) -> None:
            told.append("connect")
            await asyncio.sleep(0.02)
            await sio.save_session(sid, {"user": "ada"})
            told.append("connected")

        @sio.on("hello")
        async def hello(sid: str) -> None:
            told.append(f"hello {await sio.get_session(sid)}")

        @sio.on("disconnect")
        async def disconnect(sid: str, reason: str) -> None:
            told.append(f"goodbye {await sio.get_session(sid)}")

        async with here.wire() as wire:
            await wire.join()
            await wire.send('2["hello"]' if end == "event" else "1")
            await eventually(lambda: len(told) > 2)
        word = "hello" if end == "event" else "goodbye"
        assert told[:3] == ["connect", "connected", f"{word} {{'user': 'ada'}}"]


@ALL
@pytest.mark.parametrize("leaves", [False, True])
async def test_who_is_refused_after_all_is_forgotten(library: str, leaves: bool) -> None:
    async with site(library, always_connect=True) as here:
        go, told = asyncio.Event(), []

        @here.sio.on("connect")
        async def connect(sid: str, environ: Any) -> bool:
            told.append(sid)
            await go.wait()
            return False

        async with here.wire() as wire:
            await wire.join()
            if not leaves:
                go.set()
                assert str(await wire.read()).startswith("1")
        await eventually(lambda: told)
        await asyncio.sleep(0.02)
        go.set()
        if library != "python-socketio" or not leaves:  # which fails there, and keeps what it knows of it
            await eventually(lambda: not here.sio.manager.rooms and not here.sio.environ)


@ALL
async def test_without_async_handlers_what_came_before_the_goodbye_is_dealt_with(library: str) -> None:
    async with site(library, async_handlers=False) as here:
        told: list[Any] = []

        @here.sio.on("count")
        async def count(sid: str, number: int) -> None:
            await asyncio.sleep(0.005)
            told.append(number)

        here.sio.on("disconnect", lambda sid, reason: told.append(reason))
        async with here.wire() as wire:
            await wire.join()
            await wire.send(*(f'2["count",{number}]' for number in range(6)), "1")
            await eventually(lambda: len(told) == 7)
        assert told == [0, 1, 2, 3, 4, 5, "client disconnect"]


def _resting(sio: Any, note: Callable[[Any], None]) -> Any:
    """Return a handler that notes what it is given when it begins, and when it ends, which it answers."""

    async def rest(sid: str, value: Any) -> Any:
        note(value)
        await sio.sleep(0.02)
        note(-value)
        return value

    def rest_in_thread(sid: str, value: Any) -> Any:
        note(value)
        sio.sleep(0.02)
        note(-value)
        return value

    return rest if inspect.iscoroutinefunction(sio.sleep) else rest_in_thread


@AND_THREADS
async def test_without_async_handlers_what_came_before_leaving_is_answered(library: str) -> None:
    async with site(library, async_handlers=False) as here:
        told: list[Any] = []
        here.sio.on("rest", _resting(here.sio, told.append))
        here.sio.on("disconnect", lambda sid, reason: told.append(reason))
        async with here.wire() as wire:
            await wire.join()
            await wire.send('21["rest",1]', '22["rest",2]', "1")
            assert [await wire.read(), await wire.read()] == ["31[1]", "32[2]"]
            await eventually(lambda: len(told) == 5)
        assert told == [1, -1, 2, -2, "client disconnect"]


@AND_THREADS
@pytest.mark.parametrize("leaves", ["says so", "is gone"])
async def test_without_async_handlers_all_that_a_client_has_sent_is_handled(
    library: str, leaves: str
) -> None:
    async with site(library, async_handlers=False, max_running_handlers=20) as here:
        told: list[Any] = []
        here.sio.on("rest", _resting(here.sio, told.append))
        here.sio.on("note", lambda sid, value: told.append(value))
        here.sio.on("disconnect", lambda sid, reason: told.append("gone"))
        async with here.wire() as wire:
            await wire.join()
            await wire.send('2["rest",1]', *(f'2["note",{number}]' for number in range(400)))
            if leaves == "says so":
                await wire.send("1")
                await eventually(lambda: told[-1:] == ["gone"])
        await eventually(lambda: told[-1:] == ["gone"])
        assert told == [1, -1, *range(400), "gone"]


def _asking(sio: Any, callback: Callable[[], None]) -> Any:
    """Return a handler that asks its client something."""

    async def ask(sid: str) -> None:
        await sio.emit("question", to=sid, callback=callback)

    def ask_in_thread(sid: str) -> None:
        sio.emit("question", to=sid, callback=callback)

    return ask if inspect.iscoroutinefunction(sio.emit) else ask_in_thread


@AND_THREADS
async def test_without_async_handlers_answers_overtake_no_events(library: str) -> None:
    async with site(library, async_handlers=False) as here:
        sio, told = here.sio, []
        sio.on("rest", _resting(sio, told.append))
        sio.on("ask", _asking(sio, lambda: told.append("answer")))
        async with here.wire() as wire:
            await wire.join()
            await wire.send('2["ask"]')
            question = str(await wire.read())
            await wire.send('2["rest",1]', f"3{question[1 : question.index('[')]}[]", '2["rest",2]')
            await eventually(lambda: len(told) == 5)
        assert told == [1, -1, "answer", 2, -2]


async def test_async_handlers_may_be_given_up_while_clients_are_there() -> None:
    async with site("siox") as here:
        told: list[Any] = []
        here.sio.on("rest", _resting(here.sio, told.append))
        async with here.wire() as wire:
            await wire.join()
            assert here.sio._bridge.fast
            here.sio.async_handlers = False
            assert not here.sio._bridge.fast
            await wire.send('21["rest",1]', '22["rest",2]', "1")
            assert [await wire.read(), await wire.read()] == ["31[1]", "32[2]"]
        assert told == [1, -1, 2, -2]


@ALL
@pytest.mark.parametrize("async_handlers", [True, False])
async def test_a_disconnect_returns_when_its_handler_has_run(library: str, async_handlers: bool) -> None:
    async with site(library, async_handlers=async_handlers) as here:
        sio, told = here.sio, []

        @sio.on("disconnect")
        async def disconnect(sid: str, reason: str) -> None:
            await asyncio.sleep(0.01)
            told.append(reason)

        @sio.on("leave")
        async def leave(sid: str, how: str) -> None:
            if how == "engine":
                await sio.eio.disconnect(sio.manager.eio_sid_from_sid(sid, "/"))
            else:
                await sio.disconnect(sid)
            told.append(sio.rooms(sid))

        for how in ("server", "engine"):
            async with here.wire() as wire:
                await wire.join()
                await wire.send(f'2["leave","{how}"]')
                await eventually(lambda: len(told) == 2)
            assert told == ["server disconnect", []]
            told.clear()


@ALL
async def test_what_a_handler_waits_for_may_be_cancelled(library: str) -> None:
    async with site(library, async_handlers=False) as here:
        sio, told = here.sio, []

        async def cancelled(*values: Any) -> None:
            told.append(len(values))
            waiting = asyncio.get_running_loop().create_future()
            waiting.cancel()
            await waiting

        for namespace in ("/", "/a"):
            for event in ("connect", "disconnect", "ask"):
                sio.on(event, lambda *values: cancelled(*values), namespace=namespace)
                sio.on(event, cancelled, namespace=namespace)
        async with here.wire() as wire:
            assert (await wire.join())[:2] == "0{"
            assert (await wire.join("/a,"))[:4] == "0/a,"
            await wire.send('27["ask"]')
            assert await wire.read() == "37[]"
        await eventually(lambda: not sio.manager.rooms and not sio.eio.sockets)
        assert told == [3, 3, 1, 2, 2]


def _passing(function: Any) -> Any:
    return lambda *values: function(*values)


def _wrapped(function: Any) -> Any:
    return functools.wraps(function)(_passing(function))


def _adding(function: Any) -> Any:
    return functools.wraps(function)(lambda *values: function("database", *values))


def _as_flask(function: Any) -> Any:
    """As Flask-SocketIO registers handlers, which are not given the sid."""
    return functools.wraps(function)(lambda sid, *values: function(*values[1:]))


@ALL
@pytest.mark.parametrize("is_async", [False, True])
async def test_decorated_handlers_are_called_with_what_they_take(library: str, is_async: bool) -> None:
    async with site(library) as here:
        told: list[Any] = []
        handlers = {
            "/passing": (_passing, lambda sid, environ: told.append(2), lambda sid: told.append("gone")),
            "/wrapped": (_wrapped, lambda sid, environ: told.append(2), lambda sid: told.append("gone")),
            "/adding": (_adding, lambda db, sid, environ: told.append(db), lambda db, sid: told.append(db)),
            "/flask": (_as_flask, lambda auth: told.append(auth), lambda: told.append("gone")),
        }
        for namespace, (decorator, *functions) in handlers.items():
            for event, function in zip(("connect", "disconnect"), functions, strict=True):
                handler = decorator(function)
                if is_async:
                    handler = _async(handler)
                here.sio.on(event, handler, namespace=namespace)
        for namespace, expected in (
            ("/passing", [2, "gone"]),
            ("/wrapped", [2, "gone"]),
            ("/adding", ["database", "database"]),
            ("/flask", [None, "gone"]),
        ):
            async with here.wire() as wire:
                assert str(await wire.join(f"{namespace},")).startswith(f"0{namespace},{{"), namespace
            await eventually(lambda expected=expected: told == expected)
            told.clear()
        async with here.wire() as wire:
            await wire.join("/flask,", {"token": 5})
        await eventually(lambda: told == [{"token": 5}, "gone"])


def _async(function: Any) -> Any:
    async def handler(*values: Any) -> Any:
        return function(*values)

    return handler


@ALL
@pytest.mark.parametrize("end", ["server", "client", "below"])
async def test_who_leaves_is_there_while_its_disconnect_handler_runs(library: str, end: str) -> None:
    async with site(library) as here:
        sio, told = here.sio, []
        sio.on("connect", lambda sid, environ: None)

        @sio.on("disconnect")
        async def disconnect(sid: str, reason: str) -> None:
            members = [list(sio.manager.get_participants("/", room)) for room in (None, "r", 1)]
            told.append(
                [len(sio.rooms(sid)), [len(each) for each in members], len(sio.manager.rooms["/"]["r"])]
            )
            told.append([sio.transport(sid), sio.get_environ(sid)["PATH_INFO"], list(sio.environ)])
            eio_sid = sio.manager.eio_sid_from_sid(sid, "/")
            assert eio_sid in sio.environ
            assert sio.environ.copy().keys() == {eio_sid}

        async with here.wire() as wire:
            await wire.join()
            ((sid, eio_sid),) = sio.manager.get_participants("/", None)
            for room in ("r", Colour.RED):
                await sio.enter_room(sid, room)
            if end == "server":
                await sio.disconnect(sid)
            elif end == "client":
                await wire.send("1")
            else:
                await sio.eio.disconnect(eio_sid)
            await eventually(lambda: len(told) == 2)
        assert told == [[3, [1, 1, 1], 1], ["websocket", "/socket.io/", [eio_sid]]]
        await eventually(lambda: not sio.environ and not sio.manager.rooms)


@ALL
async def test_equal_rooms_are_one(library: str) -> None:
    async with site(library) as here:
        sio = here.sio
        async with here.wire() as wire:
            await wire.join()
            ((sid, _),) = sio.manager.get_participants("/", None)
            await sio.enter_room(sid, Colour.RED)
            await sio.enter_room(sid, 2.0)
            for room in (1, True, 1.0, 2, Colour.RED, "1", b"1"):
                await sio.emit("to", repr(room), room=room)
            assert [await wire.read() for _ in range(5)] == [
                f'2["to","{room!r}"]' for room in (1, True, 1.0, 2, Colour.RED)
            ]
            await sio.leave_room(sid, 1)
            await sio.leave_room(sid, 2)
            assert sio.rooms(sid) == [sid]


@ALL
@pytest.mark.parametrize(
    "told", [{"code": 4}, {"message": "m", "more": [1]}, "bare", {"message": "m", "data": None}]
)
async def test_a_refusal_says_what_it_was_given(library: str, told: Any) -> None:
    async with site(library) as here:

        @here.sio.on("connect")
        def connect(sid: str, environ: Any) -> None:
            error = exceptions.ConnectionRefusedError()
            error.error_args = told
            raise error

        async with here.wire() as wire:
            text = str(await wire.join()).replace(" ", "")
            assert text == "4" + json.dumps(told, separators=(",", ":"))
        await eventually(lambda: not here.sio.manager.rooms)


@ALL
async def test_a_handler_of_engine_io_keeps_the_door(library: str) -> None:
    async with site(library) as here:
        sio, told = here.sio, []
        passed_on = sio.eio.handlers["connect"]

        async def gate(eio_sid: str, environ: Any) -> Any:
            await asyncio.sleep(0.02)
            if "token" not in environ["QUERY_STRING"]:
                return False
            environ["user"] = "ada"
            return await passed_on(eio_sid, environ)

        @sio.on("connect")
        async def connect(sid: str, environ: Any) -> None:
            told.append(environ.get("user"))

        sio.eio.on("connect", gate)
        async with here.session.ws_connect(f"{here.url}&transport=websocket&token=1") as socket:
            await socket.receive()
            await socket.send_str("40")
            assert (await socket.receive_str()).startswith("40")
        with contextlib.suppress(aiohttp.WSServerHandshakeError):  # or it is let in, and then closed
            async with here.session.ws_connect(f"{here.url}&transport=websocket") as socket:
                for message in ("40", '421["still there"]'):
                    await socket.send_str(message)
                while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                    assert not message.data.startswith("4")
        assert told == ["ada"]
        await eventually(lambda: not sio.eio.sockets)


@AND_THREADS
async def test_who_is_closed_by_the_engine_is_told_so(library: str) -> None:
    # A client of theirs that is not told takes it for a fault, and comes back.
    async with site(library) as here, here.session.ws_connect(f"{here.url}&transport=websocket") as socket:
        sid = json.loads((await socket.receive_str())[1:])["sid"]
        await socket.send_str("40")
        assert (await socket.receive_str()).startswith("40")
        if library == THREADS:
            await asyncio.to_thread(here.sio.eio.disconnect, sid)
        else:
            await here.sio.eio.disconnect(sid)
        assert await socket.receive_str(timeout=PATIENCE) == "1"
        if library != "python-socketio":  # which leaves the rest to the client
            assert not isinstance((await socket.receive(timeout=PATIENCE)).data, str)
