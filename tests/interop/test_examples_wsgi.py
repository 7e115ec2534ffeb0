"""The examples on Flask and Django, under their development servers and under gunicorn, with real clients."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from commands import free_port
from peers import HERE, eventually

import siox

EXAMPLES = HERE.parents[1] / "examples"
GUNICORN = ("-m", "gunicorn", "-w", "1", "--threads", "4", "--no-control-socket", "-b", "127.0.0.1:{port}")
pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def running(*command: str, cwd: Path, **environ: str) -> AsyncIterator[str]:
    """Start `python command`, and wait until it serves pages; gives its address."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(part.format(port=port) for part in command),
        cwd=cwd,
        env={**os.environ, **environ},
        stderr=asyncio.subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await serving(url, process)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        _, logged = await process.communicate()
        assert b"Traceback" not in logged, logged.decode()


async def serving(url: str, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            assert process.returncode is None
            try:
                async with session.get(url) as answer:
                    assert answer.status == 200, await answer.text()
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


async def logged_in(url: str, name: str) -> dict[str, Any]:
    """Fill in the form; gives the options of a client with that session."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/login", data={"name": name}, allow_redirects=False) as answer,
    ):
        assert answer.status == 302, await answer.text()
        cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in answer.cookies.values())
    return {"extra_headers": {"Cookie": cookies}, "force_new": True, "wait": 5}


FLASK = [("flask_auction.py", "{port}"), (*GUNICORN, "flask_auction:web")]


@pytest.mark.parametrize("command", FLASK, ids=["werkzeug", "gunicorn"])
async def test_an_auction_on_flask(command: tuple[str, ...]) -> None:
    async with running(*command, cwd=EXAMPLES) as url:
        with pytest.raises(siox.ConnectError, match="say your name first"):
            await siox.connect(url, force_new=True, wait=5)
        async with (
            siox.connect(url, **await logged_in(url, "Ada")) as ada,
            siox.connect(url, **await logged_in(url, "Grace")) as grace,
        ):
            states: list[tuple[Any, ...]] = []
            grace.on("state", lambda *state: states.append(state[:3]))
            assert "too late" in str(await ada.emit_with_ack("bid", 1))
            ada.emit("offer", "a chair", 1.5)
            await eventually(lambda: bool(states))
            assert await ada.emit_with_ack("bid", 5) == {"item": "a chair", "amount": 5}
            assert "too little" in str(await grace.emit_with_ack("bid", 5))
            assert await grace.emit_with_ack("bid", 6) == {"item": "a chair", "amount": 6}
            assert await ada.wait_for("sold", timeout=5) == ("a chair", "Grace", 6)
            assert states[0] == ("a chair", None, 0)
            assert ("a chair", "Grace", 6) in states


DJANGO = [("manage.py", "runserver", "--noreload", "{port}"), (*GUNICORN, "notes.wsgi")]


@pytest.mark.parametrize("command", DJANGO, ids=["runserver", "gunicorn"])
async def test_notes_on_django(command: tuple[str, ...], tmp_path: Path) -> None:
    folder, database = EXAMPLES / "django_notes", str(tmp_path / "notes.sqlite3")
    migrate = await asyncio.create_subprocess_exec(
        sys.executable,
        *("manage.py", "migrate", "--run-syncdb", "-v", "0"),
        cwd=folder,
        env={**os.environ, "NOTES_DB": database},
    )
    assert await migrate.wait() == 0
    async with running(*command, cwd=folder, NOTES_DB=database) as url:
        with pytest.raises(siox.ConnectError, match="log in first"):
            await siox.connect(url, force_new=True, wait=5)
        async with (
            siox.connect(url, **await logged_in(url, "Ada")) as ada,
            siox.connect(url, **await logged_in(url, "Grace")) as grace,
        ):
            heard = asyncio.create_task(grace.wait_for("note", timeout=5))
            await asyncio.sleep(0)
            first = await ada.emit_with_ack("write", "Bring cake")
            note = await heard
            assert (note["id"], note["author"], note["text"]) == (first, "Ada", "Bring cake")
            written = [ada.emit_with_ack("write", str(number)) for number in range(20)]
            assert await asyncio.gather(*written) == list(range(first + 1, first + 21))
        late = siox.connect(url, **{**await logged_in(url, "Ada"), "wait": None})
        shown: list[str] = []
        late.on("note", lambda note: shown.append(note["text"]))
        async with late:
            await eventually(lambda: shown == [str(number) for number in range(20)])
        async with aiohttp.ClientSession() as session, session.get(f"{url}/count") as answer:
            assert await answer.json() == {"notes": 21}
