"""siox in aiohttp: routes and sockets share the application's state; who reads a page is counted live.

pip install aiohttp
python examples/aiohttp_app.py [PORT]
curl localhost:3000/readers
"""

import sys
from collections import Counter
from typing import Any

from aiohttp import web

import siox

io = siox.Server()
readers = web.AppKey("readers", Counter[str])


async def count(request: web.Request) -> web.Response:
    """Answer how many read which page now."""
    return web.json_response(+request.app[readers])


async def publish(request: web.Request) -> web.Response:
    """Tell those who read a page that there is a new version of it."""
    io.to(request.match_info["page"]).emit("changed", await request.json())
    return web.Response(status=204)


def turn(socket: siox.Socket, page: str | None) -> None:
    """Leave one page and open another; those who read them hear how many they are."""
    counts = socket.handshake.request.app[readers]
    left: str | None = socket.data.pop("page", None)
    if left is not None:
        counts[left] -= 1
        socket.leave(left)
        io.to(left).emit("readers", counts[left])
    if page is not None:
        counts[page] += 1
        socket.data["page"] = page
        socket.join(page)
        io.to(page).emit("readers", counts[page])


@io.event("open")
def open_page(socket: siox.Socket, page: Any) -> None:
    """A client has opened a page."""
    if not isinstance(page, str):
        raise siox.EventError("a page's name is needed")
    turn(socket, page)


@io.on("disconnect")
def disconnect(socket: siox.Socket) -> None:
    """A client is gone."""
    turn(socket, None)


app = web.Application()
app[readers] = Counter()
app.router.add_get("/readers", count)
app.router.add_put("/pages/{page}", publish)
io.attach(app)  # serves /socket.io, and ends with the application

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
