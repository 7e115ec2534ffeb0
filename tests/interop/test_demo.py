"""The demo in two tabs of headless Chromium. SIOX_UPDATE_SCREENSHOT=1 renews docs/demo.png."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from peers import CHROMIUM, PACKAGES, PATIENCE, JsDriver, JsError, node
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


CHAT = """
socket.onAny((event, ...args) => {
  if (["entered", "went"].includes(event)) report(event, ...args);
});
"""


@pytest.mark.node
async def test_what_makes_no_sense_is_answered_with_an_error(js: JsDriver) -> None:
    async with own_listener(create_server(CLIENT)) as url:
        for auth in ({}, {"name": "  "}, {"name": 7}):
            with pytest.raises(JsError, match="choose a name") as caught:
                await js.connect(url, "websocket", options={"auth": auth})
            assert caught.value.data == {"field": "name"}
        client = await js.connect(url, "websocket", options={"auth": {"name": "Ada"}})
        ask = "return await socket.emitWithAck(...args)"
        picture = {"name": "p", "type": "image/png", "bytes": b"\x89"}
        for event, value, says in (
            ("say", None, "id and a text"),
            ("say", {"id": 1, "text": "t"}, "id and a text"),
            ("say", {"id": "1", "text": "  "}, "empty"),
            ("say", {"id": "1", "text": "", "image": picture | {"type": "image/svg+xml"}}, "PNG"),
            ("say", {"id": "1", "text": "", "image": picture | {"bytes": "text"}}, "PNG"),
            ("enter", "   ", "needs a name"),
            ("announce", "", "needs words"),
        ):
            answer = await client.run(ask, event, value)
            assert says in answer["error"]["message"]
        assert (await client.run(ask, "say", {"id": "1", "text": "", "image": picture}))["at"] > 0


@pytest.mark.node
async def test_a_room_remembers_until_the_last_one_leaves(js: JsDriver) -> None:
    async with own_listener(create_server()) as url:
        ada = await js.connect(
            url, "websocket", setup=CHAT, options={"auth": {"name": "Ada", "room": "attic"}}
        )
        entered = await ada.next()
        assert (entered[0], entered[1]["room"], entered[1]["history"]) == ("entered", "attic", [])
        ask = "return await socket.emitWithAck(...args)"
        image = {"name": "p", "type": "image/png", "bytes": b"\x89"}
        await ada.run(ask, "say", {"id": "1", "text": "kept", "image": image})
        bo = await js.connect(url, "websocket", setup=CHAT, options={"auth": {"name": "Bo", "room": "attic"}})
        history = (await bo.next())[1]["history"]
        assert [message["text"] for message in history] == ["kept"]
        assert history[0]["image"] == {"name": "p", "type": "image/png", "bytes": None}
        for client in (ada, bo):
            await client.run("socket.emit('enter', 'lobby')")
        assert [(await bo.next())[0] for _ in range(2)] == ["went", "entered"]
        await bo.run("socket.emit('enter', 'attic')")
        entered = await bo.next()
        assert (entered[1]["room"], entered[1]["history"]) == ("attic", [])


async def test_the_command_prints_the_address_and_serves_page_and_client(tmp_path: Path) -> None:
    client = tmp_path / "node_modules" / "socket.io-client" / "dist"
    client.mkdir(parents=True)
    (client / "socket.io.min.js").write_text("// the client", encoding="utf-8")
    process = await demo("0", tmp_path)
    try:
        assert process.stdout is not None
        first = (await asyncio.wait_for(process.stdout.readline(), PATIENCE)).decode()
        port = int(first.rsplit(":", 1)[1].strip(" /\n"))
        assert b"<title>siox chat</title>" in await get(port, "/")
        assert (await get(port, "/socket.io/socket.io.min.js")).endswith(b"// the client")
        second = await demo(str(port), client)
        assert second.stderr is not None
        assert "taken" in (await second.stderr.read()).decode()
        assert await asyncio.wait_for(second.wait(), PATIENCE) == 1
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0


async def get(port: int, path: str) -> bytes:
    """One answer of the server, which must be good."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    return answer


async def demo(port: str, folder: Path) -> asyncio.subprocess.Process:
    """Start `siox demo` in a folder."""
    return await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("siox")),
        "demo",
        "--port",
        port,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
