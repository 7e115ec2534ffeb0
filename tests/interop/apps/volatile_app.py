"""Row 6: 400 MB of volatile events for a client that reads nothing, and a few ordinary ones.

Prints its memory at a tenth of the run and at its end.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import siox

EVENTS, SIZE, ORDINARY_EVERY = 40_000, 10_000, 400
PAGE = 4096

io = siox.Server(ping_interval=300, ping_timeout=300)


def rss() -> int:
    """Bytes of resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def say(**values: Any) -> None:
    """One line of JSON for the test."""
    print(json.dumps(values), flush=True)


@io.event("start")
async def start(socket: siox.Socket, room: bool) -> None:
    """Emit it all, to the socket or to a room with it."""
    socket.join("room")
    target = io.to("room") if room else socket
    filler = "x" * SIZE
    for number in range(EVENTS):
        target.volatile.emit("position", filler)
        if number % ORDINARY_EVERY == 0:
            target.emit("ordinary", number // ORDINARY_EVERY)
        if number % 20 == 0:
            await asyncio.sleep(0)
        if number == EVENTS // 10:
            say(at="tenth", rss=rss())
    say(at="end", rss=rss(), ordinary=EVENTS // ORDINARY_EVERY)


async def main() -> None:
    """Listen until the test ends this process."""
    listener = await io.listen(port=0)
    say(port=listener.port)
    await asyncio.Event().wait()


asyncio.run(main())
