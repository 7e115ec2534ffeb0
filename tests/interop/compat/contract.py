"""What clients and handlers observe of the contract's application, written down step by step.

python tests/interop/compat/contract.py                 every mode, client and path: the full form
python tests/interop/compat/contract.py --mode gevent --client js --path websocket --show
CONTRACT_HOOK=1 python tests/interop/compat/contract.py     with a hook, for which siox leaves its fast path
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from commands import free_port  # noqa: E402
from contract_actors import Actor, JsActor, PythonActor, RefusedError, until  # noqa: E402
from peers import JsDriver  # noqa: E402

MODES = ("uvicorn", "hypercorn", "aiohttp", "sanic", "tornado", "werkzeug", "gthread", "gevent")
CLIENTS = ("js", "python")
PATHS = ("polling", "websocket", "upgrade")
MODULES = {"python-socketio": "socketio", "siox": "siox.compat.socketio"}
PATIENCE = 40
"""Seconds for a transcript."""
BYTES = bytes(range(256))
ANSWERS: tuple[tuple[Any, ...], ...] = (
    ("none",),
    ("tuple", 1, "two", None),
    ("list", 1, 2),
    ("bytes",),
    ("value", "ünïcödé \U0001f600 \u2028"),
    ("value", {"a": [1, 2.5, True, None, {"b": BYTES}], "c": b""}),
    ("value", 2**53 - 1),
    ("value", "x" * 20_000),
    ("value", []),
)
Transcript = dict[str, Any]
Join = Callable[..., Awaitable[Actor]]


class App:
    """The application in a process of its own."""

    def __init__(self, peer: str, mode: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "contract_app.py"), MODULES[peer], mode, str(self.port)],
            env=env,
            # Handlers that fail have tracebacks, some of them printed by the threads themselves.
            stderr=None if os.environ.get("CONTRACT_STDERR") else subprocess.DEVNULL,
            start_new_session=True,
        )

    async def listening(self) -> None:
        """Wait until it takes connections."""
        async with asyncio.timeout(30):
            while True:
                assert self._process.poll() is None, "the application has ended"
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return

    def __enter__(self) -> App:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        # gunicorn has a worker below it, which ends with it, but at its leisure.
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def joining(driver: JsDriver | None, url: str, path: str) -> Join:
    """How a client of a kind gets in; without a driver it is the one of Python."""

    async def join(namespace: str = "/", **auth: Any) -> Actor:
        if driver is None:
            return await PythonActor.connect(url, path, namespace, auth)
        return await JsActor.connect(driver, url, path, namespace, auth)

    return join


async def write(join: Join, told: Transcript) -> None:
    """Go through everything; notes what was observed under the name of each step."""
    control = await join("/control")
    await control.ask("clear")
    one = await join(how="plain", n=1)
    await until(one, "early")
    told["early"] = one.seen[:]
    for step in (_refusals, _answers, _questions, _rooms, _state, _namespaces, _leaving):
        one.seen.clear()
        told |= {
            f"{step.__name__}: {name}": value for name, value in (await step(join, one, control)).items()
        }
    await control.leave()


async def _refusals(join: Join, one: Actor, control: Actor) -> Transcript:
    told: Transcript = {}
    for how in ("false", "refuse", "refuse at once"):
        try:
            await join(how=how)
        except RefusedError as refused:
            told[how] = refused.args[0]
    try:
        await join("/unknown")
    except RefusedError as refused:
        told["unknown namespace"] = refused.args[0]
    told["log"] = (await control.ask("log"))[0]
    return told


async def _answers(join: Join, one: Actor, control: Actor) -> Transcript:
    told: Transcript = {
        f"{number}": await one.ask("answer", *values) for number, values in enumerate(ANSWERS)
    }
    told["echo"] = await one.ask("echo", b"one", {"two": [BYTES, "text", b""]}, "three")
    told["unknown event"] = await one.ask("unheard of", 1, b"2")
    told["failing handler"] = await one.ask("fail", limit=0.3)
    await one.emit("send", {"a": "message"})
    await until(one, "message")
    told["events"] = one.seen[:]
    return told


async def _questions(join: Join, one: Actor, control: Actor) -> Transcript:
    told: Transcript = {}
    questions: tuple[tuple[Any, ...], ...] = (("one", 1), ("two", [b"2"], {"3": None}), ("nothing",))
    for number, question in enumerate(questions, 1):
        await one.emit("ask", *question)
        await until(one, "answered", number)
        told[f"call {question[0]}"] = await one.ask("call", *question)
    told["call without an answer"] = await one.ask("call")
    told["events"] = one.seen[:]
    return told


async def _rooms(join: Join, one: Actor, control: Actor) -> Transcript:
    other = await join(how="other")
    await until(other, "early")
    other.seen.clear()
    told: Transcript = {
        "enter": await one.ask("room", "enter", "r1", "r2", 5),
        "other enters": await other.ask("room", "enter", "r1", 5),
    }
    for name, values in {
        "to one room": ("r1", "a"),
        "to a number": (5, b"b"),
        "to several": (["r1", "r2"], ["c"]),
        "not to oneself": ("r1", {"d": 1}, "skip"),
        "to nobody": ("no such room", "e"),
    }.items():
        told[name] = await one.ask("room", "emit", *values)
    told["to its own"] = await other.ask("room", "own", "f")
    told["leave"] = await other.ask("room", "leave", "r1", "never entered")
    await one.ask("room", "emit", "r1", "g")
    told["close"] = await one.ask("room", "close", "r1")
    await one.ask("room", "emit", "r1", "h")
    await other.ask("answer", "none")
    told["events of one"], told["events of the other"] = one.seen[:], other.seen[:]
    await other.leave()
    await _logged(control, "disconnect", "other")
    return told


async def _logged(control: Actor, *begin: Any) -> list[Any]:
    """Wait until the log has an entry that begins so; gives the log."""
    found: list[Any] = []

    async def look() -> bool:
        found[:] = (await control.ask("log"))[0]
        return any(entry[: len(begin)] == list(begin) for entry in found)

    async with asyncio.timeout(10):
        while not await look():
            await asyncio.sleep(0.05)
    return found


async def _state(join: Join, one: Actor, control: Actor) -> Transcript:
    told: Transcript = {
        "session": [await one.ask("session", "a", 1), await one.ask("session", "b", [2])],
        "about": await one.ask("about"),
    }
    await one.emit("background", 3)
    await until(one, "worked", 3)
    told["background"] = one.seen[:]
    return told


async def _namespaces(join: Join, one: Actor, control: Actor) -> Transcript:
    chat, second = await join("/chat"), await join("/chat")
    await until(chat, "welcome")
    told: Transcript = {"say": await second.ask("say", "hello")}
    await until(chat, "said")
    await chat.emit("leave")
    await until(chat, "(disconnected)")
    await second.leave()
    told["chat"], told["second"] = chat.seen[:], second.seen[:1]
    plain, implied = await join("/plain"), await join("/implied")
    told["any namespace"] = [await each.ask("elsewhere", 1) for each in (plain, implied)]
    await plain.leave()
    await implied.leave()
    told["log"] = sorted(await _logged(control, "plain disconnect"), key=repr)
    return told


async def _leaving(join: Join, one: Actor, control: Actor) -> Transcript:
    await control.ask("clear")
    last = await join(how="last")
    await last.ask("room", "enter", "r9")
    await last.leave()
    told: Transcript = {"by the client": await _logged(control, "disconnect", "last")}
    await control.ask("clear")
    dropped = await join(how="dropped")
    # A round trip, after which the server knows of the upgrade: Sanic's loses it in front of a close.
    await dropped.ask("answer", "none")
    await dropped.drop()
    told["below"] = await _logged(control, "disconnect", "dropped")
    await control.ask("clear")
    await one.emit("leave")
    await until(one, "(disconnected)")
    told["by the server"] = [one.seen[:], await _logged(control, "disconnect", "plain")]
    return told


def differences(theirs: Transcript, ours: Transcript, mended: dict[str, Any]) -> list[str]:
    """Steps that are not alike, save those that are mended and as the table of them says."""
    found = []
    for step in {**theirs, **ours}:
        old, new = theirs.get(step, "(nothing)"), ours.get(step, "(nothing)")
        wanted = mended.get(step, old)
        if new != wanted:
            found.append(f"{step}: {old!r:.300} there, {new!r:.300} here")
    # The first is enough where one has come to a stop.
    return found[:1] + found[-1:] if len(found) > 6 else found


MENDED: dict[str, dict[str, Any]] = {
    # An object with a message, as every other refusal: a bare string has none.
    "js": {"_refusals: unknown namespace": ["Unable to connect", None]},
    "python": {"_refusals: unknown namespace": [{"message": "Unable to connect"}]},
}


async def _written(join: Join) -> Transcript:
    """A transcript, or how far it has come when its time was up or it failed."""
    told: Transcript = {}
    try:
        async with asyncio.timeout(PATIENCE):
            await write(join, told)
    except Exception as error:
        told["came to a stop"] = f"{error!r} after {list(told)[-1:]}"
    return told


async def compare(mode: str, pairs: list[tuple[str, str]], *, show: bool = False) -> list[str]:
    """Write both transcripts in a mode for each client and path; gives what is not alike."""
    with App("python-socketio", mode) as theirs, App("siox", mode) as ours:
        await asyncio.gather(theirs.listening(), ours.listening())
        found: list[str] = []
        async with JsDriver() as driver:
            for client, path in pairs:
                js = driver if client == "js" else None
                old, new = await asyncio.gather(
                    *(_written(joining(js, app.url, path)) for app in (theirs, ours)),
                )
                if show:
                    for step, value in old.items():
                        print(f"{step}: {value!r:.200}")
                found += [f"{mode} {client} {path} {each}" for each in differences(old, new, MENDED[client])]
        return found


def main() -> None:
    """The full form, or a part of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=MODES, nargs="*", default=MODES)
    parser.add_argument("--client", choices=CLIENTS, nargs="*", default=CLIENTS)
    parser.add_argument("--path", choices=PATHS, nargs="*", default=PATHS)
    parser.add_argument("--show", action="store_true")
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)  # python-socketio's client leaves connections open
    count = 0
    for mode in chosen.mode:
        pairs = list(itertools.product(chosen.client, chosen.path))
        found = asyncio.run(compare(mode, pairs, show=chosen.show))
        count += len(found)
        print(f"{mode}: {len(pairs)} transcripts, {len(found)} differences", *found, sep="\n  ")
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()
