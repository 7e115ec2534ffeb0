"""Each example runs as its first lines say, and does what they promise."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket as sockets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import nbformat
import pytest
from nbclient import NotebookClient
from peers import HERE

import siox

EXAMPLES = HERE.parents[1] / "examples"
pytestmark = pytest.mark.timeout(60)


class Program:
    """One that runs, and what it prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def line(self, pattern: str) -> re.Match[str]:
        """The next line that fits."""
        assert self.process.stdout is not None
        async with asyncio.timeout(15):
            while True:
                line = (await self.process.stdout.readline()).decode()
                assert line, self.lines
                self.lines.append(line.rstrip())
                if found := re.search(pattern, line):
                    return found

    async def end(self) -> int:
        """Wait for its end; gives the exit status."""
        async with asyncio.timeout(15):
            return await self.process.wait()


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield Program(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def example(name: str) -> str:
    return str(EXAMPLES / name)


@pytest.fixture
def port() -> int:
    with sockets.create_server(("127.0.0.1", 0)) as probe:
        found: int = probe.getsockname()[1]
    return found


async def test_a_device_loses_no_reading_while_the_station_is_away(port: int) -> None:
    url = f"http://localhost:{port}"
    async with running(example("device.py"), "cellar", url, "0.05") as device:
        await device.line(r"offline: .*nothing listens")
        await asyncio.sleep(0.5)
        async with running(example("station.py"), str(port)) as station:
            first = await station.line(r"cellar: .* number 1$")
            assert first
            await station.line(r"number 15$")
            await device.line("online")
            async with running(example("script.py"), "cellar", url) as script:
                said = await script.line(r"cellar: (\d+) readings, [\d.]+ to [\d.]+ °C")
                assert int(said[1]) >= 15
                assert await script.end() == 0
            async with running(example("script.py"), "attic", url) as script:
                await script.line("there is no device 'attic'")
                assert await script.end() == 1
        await device.line("offline: transport")
        async with running(example("station.py"), str(port)) as station:
            await station.line(r"number 5$")
    async with running(example("script.py"), "cellar", url) as script:
        await script.line("cannot connect: nothing listens")
        assert await script.end() == 1


async def test_a_bot_answers_in_the_demos_chat(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    async with running(example("bot.py"), url) as bot:
        await bot.line("cannot connect: nothing listens")
        for _ in range(2):  # the second time after a restart
            async with running("-m", "siox.cli", "demo", "--port", str(port)) as chat:
                await chat.line("open it")
                await bot.line("in lobby with Robin")
                async with siox.connect(url, auth={"name": "Ada"}, wait=5, force_new=True) as ada:
                    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

                    @ada.on("said")
                    def said(message: Any, heard: Any = heard) -> None:
                        heard.put_nowait((message["from"]["name"], message["text"]))

                    greeting = await asyncio.wait_for(heard.get(), 10)
                    assert greeting == ("Robin", "Hello Ada! Say “Robin, help” if you need me.")
                    delivered = asyncio.create_task(ada.wait_for("delivered", timeout=5))
                    await ada.emit_with_ack("say", {"id": "1", "text": "robin, who are the people?"})
                    assert await delivered == ("1", 1, 1)
                    assert await asyncio.wait_for(heard.get(), 10) == ("Robin", "I know: time, people, help.")
                    await ada.emit_with_ack("say", {"id": "2", "text": "Robin, people"})
                    assert await asyncio.wait_for(heard.get(), 10) == ("Robin", "Here are Robin, Ada.")


async def test_fastapi_lets_in_who_is_logged_in_and_its_routes_and_jobs_emit(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    jar = aiohttp.CookieJar(unsafe=True)  # else it keeps none of an address without a name
    async with (
        running(example("fastapi_app.py"), str(port)) as program,
        aiohttp.ClientSession(cookie_jar=jar) as browser,
    ):
        await program.line("Uvicorn running on")
        with pytest.raises(siox.ConnectError, match="log in first"):
            async with siox.connect(url, wait=5, reconnection=False):
                pass
        assert (await browser.post(f"{url}/news", json={"text": "hello"})).status == 401
        assert (await browser.post(f"{url}/login", json={"user": "Ada"})).ok
        cookie = {"Cookie": "; ".join(f"{each.key}={each.value}" for each in jar)}
        for transports in (["polling"], ["websocket"]):
            options: Any = {"transports": transports, "extra_headers": cookie, "force_new": True, "wait": 5}
            async with siox.connect(url, **options) as ada:
                assert await ada.emit_with_ack("whoami") == "Ada"
                assert isinstance(await ada.wait_for("time", timeout=5), int)
                news = asyncio.create_task(ada.wait_for("news", timeout=5))
                reminder = asyncio.create_task(ada.wait_for("reminder", timeout=5))
                await asyncio.sleep(0)
                assert (await browser.post(f"{url}/news", json={"text": "hello"})).ok
                assert (await browser.post(f"{url}/remind", json={"text": "tea"})).ok
                assert (await news, await reminder) == (("Ada", "hello"), "tea")
        program.process.terminate()
        assert await program.end() in {0, -signal.SIGTERM}
        assert not any("Traceback" in line for line in program.lines)


async def test_aiohttp_shares_its_state_with_sockets_and_ends_at_once(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    async with running(example("aiohttp_app.py"), str(port)) as program, aiohttp.ClientSession() as browser:
        await program.line("Running on")
        async with siox.connect(url, wait=5) as first, siox.connect(url, wait=5, force_new=True) as second:
            first.emit("open", "home")
            assert await first.wait_for("readers", timeout=5) == 1
            counted = asyncio.create_task(first.wait_for("readers", timeout=5))
            await asyncio.sleep(0)
            second.emit("open", "home")
            assert await counted == 2
            assert await (await browser.get(f"{url}/readers")).json() == {"home": 2}
            changed = asyncio.create_task(second.wait_for("changed", timeout=5))
            await asyncio.sleep(0)
            assert (await browser.put(f"{url}/pages/home", json={"version": 2})).status == 204
            assert await changed == {"version": 2}
            left = asyncio.create_task(first.wait_for("readers", timeout=5))
            await asyncio.sleep(0)
            second.emit("open", "news")
            assert await left == 1
            gone = asyncio.create_task(first.wait_for("disconnect", timeout=5))
            await asyncio.sleep(0)
            program.process.terminate()
            await gone
            assert await program.end() == 0


async def test_the_notebook_runs_from_its_first_cell_to_its_last() -> None:
    notebook = nbformat.read(example("notebook.ipynb"), as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "strip them before a commit"
    await NotebookClient(notebook, timeout=30, kernel_name="python3").async_execute()
    results = [
        output["data"]["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output["output_type"] == "execute_result"
    ]
    assert results[0].startswith("'http://127.0.0.1:")
    assert results[1:4] == ["6", "([0, 50, 100], [(1, 2, 3)])", "6.0"]
    assert "'sessions_opened': 1" in results[4]


@pytest.mark.parametrize("name", ["device.py", "script.py"])
async def test_without_arguments_they_say_how_to_start_them(name: str) -> None:
    async with running(example(name)) as program:
        await program.line(rf"python examples/{name}")
        assert await program.end() == 1
