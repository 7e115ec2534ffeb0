"""A server with listeners on every socket, whose memory the test watches while clients come and go."""

import asyncio
import json
import sys
from pathlib import Path

import siox

io = siox.Server()
gone = 0


def rss() -> int:
    """Bytes of resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@io.on("connection")
def connection(socket: siox.Socket) -> None:
    """Listeners that hold on to the socket, as users write them."""
    socket.join(["everyone", f"room {socket.id}"])
    socket.data["self"] = socket

    @socket.on("message")
    async def message(text: str) -> str:
        return text + socket.id

    @socket.on("disconnect")
    def left(reason: str) -> None:
        global gone
        gone += 1
        socket.data["reason"] = reason

    socket.on_any(lambda event, *args: None)


async def main() -> None:
    """Listen; answer each line on stdin with the memory and the count of those that left."""
    listener = await io.listen(port=0)
    print(json.dumps({"port": listener.port}), flush=True)
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(json.dumps({"rss": rss(), "gone": gone, "here": len(await io.fetch_sockets())}), flush=True)


asyncio.run(main())
