"""A device on a bad network: what it measures while it is offline is kept, and sent in order when it is back.

python examples/device.py NAME [URL [SECONDS]]
"""

import asyncio
import contextlib
import math
import sys
import time

import siox


async def run(name: str, url: str = "http://localhost:3000", seconds: str = "1") -> None:
    """Measure and send for ever."""
    socket = siox.connect(
        url,
        retries=1_000_000,  # each reading again until it is acknowledged, one after the other
        ack_timeout=5,
        reconnection_delay_max=30,
        max_buffered_packets=100_000,  # a day offline; the oldest are dropped first
    )

    @socket.on("connect")
    def connected() -> None:
        print("online", flush=True)

    @socket.on("disconnect")
    def disconnected(reason: str) -> None:
        print(f"offline: {reason}", flush=True)

    @socket.on("connect_error")
    def failed(error: siox.ConnectError) -> None:
        print(f"offline: {error.message}", flush=True)

    @socket.on("dropped")
    def dropped(event: str, reason: str) -> None:
        print(f"lost a {event}: {reason}", flush=True)

    while True:
        now = time.time()
        socket.emit("reading", name, now, round(20 + 5 * math.sin(now / 60), 2))
        # Worthless later: dropped while offline.
        socket.volatile.emit("signal", name, -60)
        await asyncio.sleep(float(seconds))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(*sys.argv[1:4]))
