"""The demo in two tabs of headless Chromium. SIOX_UPDATE_SCREENSHOT=1 renews docs/demo.png."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from peers import CHROMIUM, PACKAGES, PATIENCE, node
from serving import own_listener

from siox.demo.app import create_server

CLIENT = PACKAGES / "socket.io-client" / "dist"
SCREENSHOT = Path(__file__).parents[2] / "docs" / "demo.png"


@pytest.mark.browser
@pytest.mark.timeout(90)
async def test_two_tabs_talk() -> None:
    arguments = [str(CHROMIUM)]
    if os.environ.get("SIOX_UPDATE_SCREENSHOT"):
        arguments.append(str(SCREENSHOT))
    async with own_listener(create_server(CLIENT)) as url:
        report = await node("demo.mjs", f"{url}/", *arguments, patience=80)
    assert report["complaints"] == []
    assert report["requests"] == []  # nothing comes from another host
    assert report["empty"] is True
    assert report["people"] == ["Ada Lovelace", "Grace Hopper"]
    assert report["transports"] == ["websocket", "websocket"]
    assert report["firstTick"] == report["pictureTick"] == "Delivered to 1 of 1"
    assert report["typing"] == "Grace Hopper is typing"
    assert report["picture"]["same"] is True
    assert report["announcements"] == [
        "Grace Hopper, to everyoneTea is ready in the garden",
        "You, to everyoneTea is ready in the garden",
    ]
    assert report["aloneTick"].startswith("The server has it")
    assert report["leaked"] == 0
    assert report["counts"] == ["1", "1", "0"]
    assert report["done"] is True


async def test_the_command_prints_the_address_and_serves_the_page() -> None:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("siox")), "demo", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        first = (await asyncio.wait_for(process.stdout.readline(), PATIENCE)).decode()
        port = int(first.rsplit(":", 1)[1].strip(" /\n"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        page = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        assert page.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"<title>siox chat</title>" in page
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), PATIENCE) in {0, -15}
