"""Renews `docs/connect.png`, the picture of `siox connect` at work: look at it afterwards.

python tests/interop/session_picture.py
"""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from peers import CHROMIUM, HERE
from rich.console import Console
from rich.text import Text

import siox

sys.path.insert(0, str(HERE.parent / "python"))
from terminal import session

PICTURE = HERE.parents[1] / "docs" / "connect.png"
PORT, COLUMNS = 3000, 100
KEPT = re.compile(r"\r\x1b\[J")
"""What erases the line that is typed: what stands behind the last one of a line stays."""


async def play() -> str:
    """Have a session with a server that shows what there is to see; gives what it wrote."""
    server = siox.Server()
    server.on("connection", lambda socket: socket.emit("welcome", {"user": "ada"}, b"\x89PNG\r\n\x1a\n"))
    server.event(
        "ask", lambda socket: socket.emit("are you sure", {"delete": 3}, lambda _: socket.emit("deleted", 3))
    )

    @server.event("update item")
    def update(socket: siox.Socket, item: object, value: object) -> dict[str, str]:
        socket.emit("updated", item, value)
        return {"status": "ok"}

    @server.event("silent")
    async def silent(socket: siox.Socket, ack: siox.Ack) -> None:
        """Never answers."""

    await server.listen(port=PORT)
    async with session(f"http://localhost:{PORT}", "--timeout", "1", COLUMNS=str(COLUMNS)) as it:
        await it.shows("now on websocket")
        for typed, shown in (
            ('"update item" "1" {"name": "updated"}\n', "← updated"),
            ('?"update item" 2 null\n', "✓ #1"),
            ("?silent\n", "✗ #2"),
            ("ask\n", "wants an answer"),
            ('!1 "yes"\n', "← deleted"),
            ("say hello\n", "needs quotes"),
        ):
            it.type(typed)
            await it.shows(shown)
            await asyncio.sleep(0.2)
        await server.close()
        await it.shows("cannot connect")
        it.type("hello 5\n")
        await it.shows("kept until connected")
        again = siox.Server()
        await again.listen(port=PORT)
        await it.shows("now on websocket")
        it.type('"update item" 3 {"na')
        await it.shows('{"na')
        seen = it.seen
    await again.close()
    return seen


def draw(seen: str) -> None:
    """Draw what a terminal shows in the end."""
    console = Console(record=True, width=COLUMNS, force_terminal=True, file=io.StringIO())
    for line in seen.replace("\r\n", "\n").split("\n"):
        console.print(Text.from_ansi(KEPT.split(line)[-1]))
    svg = console.export_svg(title=f"siox connect http://localhost:{PORT}")
    size = re.search(r'viewBox="0 0 (\d+)[\d.]* (\d+)', svg)
    assert size is not None
    assert CHROMIUM is not None
    width, height = int(size[1]), int(size[2]) + 1
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(
            f"<style>body {{ margin: 0 }} svg {{ width: {width}px }}</style>{svg}", encoding="utf-8"
        )
        subprocess.run(
            [
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--window-size={width},{height}",
                f"--screenshot={PICTURE}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    draw(asyncio.run(play()))
