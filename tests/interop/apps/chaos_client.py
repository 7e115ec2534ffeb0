"""The client of chaos.py: emits numbers; says its memory at a tenth of the run and at its end."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import siox

OPTIONS: dict[str, Any] = json.loads(sys.argv[1])
PAGE = 4096


def say(**values: Any) -> None:
    """One line of JSON."""
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    print(json.dumps({"rss": rss, **values}), flush=True)


async def main() -> None:
    """Emit it all in its time, and wait until it is there."""
    events, seconds, retries = OPTIONS["events"], OPTIONS["seconds"], OPTIONS["retries"]
    options: dict[str, Any] = {"reconnection_delay": 0.02, "reconnection_delay_max": 0.2, "timeout": 2.0}
    if retries:
        options |= {"retries": 1_000_000, "ack_timeout": 1.0}
    socket = siox.connect(OPTIONS["url"], transports=OPTIONS["transports"], **options)
    counts = {"connects": 0, "acknowledged": 0, "dropped": 0}

    def count(what: str) -> None:
        counts[what] += 1

    socket.on("connect", lambda: count("connects"))
    socket.on("dropped", lambda *_: count("dropped"))
    begun = time.monotonic()
    for number in range(events):
        await asyncio.sleep(max(0.0, begun + seconds * number / events - time.monotonic()))
        if retries:
            socket.emit("note", "chaos", number, lambda error, _=None: count("acknowledged"))
        else:
            socket.emit("note", "chaos", number)
        if number == events // 10:
            say()
    while retries and counts["acknowledged"] < events:
        await asyncio.sleep(0.01)
    await reach(socket)
    say(**counts, seconds=time.monotonic() - begun)
    await socket.disconnect()


async def reach(socket: siox.ClientSocket) -> None:
    """Wait for an answer: what was emitted before it has arrived by then, or never will."""
    while True:
        try:
            await socket.timeout(1).emit_with_ack("answer", "there?")
        except (siox.AckTimeoutError, siox.DisconnectedError):
            continue
        return


asyncio.run(main())
