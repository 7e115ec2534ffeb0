"""siox in FastAPI: a login kept in the session, a route that emits, and a job in the background that does.

pip install fastapi itsdangerous uvicorn websockets
python examples/fastapi_app.py [PORT]
curl -c jar -H "Content-Type: application/json" -d '{"user": "Ada"}' localhost:3000/login
curl -b jar -H "Content-Type: application/json" -d '{"text": "hello"}' localhost:3000/news
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from starlette.middleware.sessions import SessionMiddleware

import siox
from siox.integrations.uvicorn import Protocol

io = siox.Server()


async def clock() -> None:
    """Tell everybody the time, once a second; who cannot take it now gets the next one."""
    while True:
        io.volatile.emit("time", round(time.time()))
        await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the job as long as the application."""
    job = asyncio.create_task(clock())
    yield
    job.cancel()


app = FastAPI(lifespan=io.lifespan(lifespan))  # it closes the server, too
app.add_middleware(SessionMiddleware, secret_key="change me")


def current_user(request: Request) -> str:
    """Who is logged in."""
    user: str | None = request.session.get("user")
    if user is None:
        raise HTTPException(401, "log in first")
    return user


def users(user: Annotated[str, Depends(current_user)]) -> siox.BroadcastOperator:
    """The sockets of who asks: every tab is in the user's room."""
    return io.to(user)


@app.post("/login")
def log_in(request: Request, body: dict[str, str]) -> None:
    """Remember the name in the session's cookie."""
    request.session["user"] = body["user"]


@app.post("/news")
def news(user: Annotated[str, Depends(current_user)], body: dict[str, Any]) -> None:
    """Tell everybody. This `def` runs in a thread, and `emit` works from any."""
    io.emit("news", user, body["text"])


@app.post("/remind")
async def remind(mine: Annotated[siox.BroadcastOperator, Depends(users)], body: dict[str, Any]) -> None:
    """Tell the user's own tabs alone."""
    mine.emit("reminder", body["text"])


@io.use
def logged_in(socket: siox.Socket) -> None:
    """Let nobody in without a session."""
    user = socket.handshake.scope["session"].get("user")
    if user is None:
        raise siox.RefusedError("log in first")
    socket.data["user"] = user


@io.on("connection")
def connection(socket: siox.Socket) -> None:
    """Every tab of a user is in the user's room."""
    socket.join(socket.data["user"])


@io.event("whoami")
def whoami(socket: siox.Socket) -> str:
    """Answer a question."""
    user: str = socket.data["user"]
    return user


# Inside of the application, so that its middleware sees the sockets' requests: sessions come from there.
app.mount("/socket.io", io.asgi())

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]) if len(sys.argv) > 1 else 3000, ws=Protocol)
