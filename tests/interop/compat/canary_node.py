"""One node of the canary: an asyncio server under uvicorn on a Redis channel, of either library.

    python canary_node.py MODULE PORT CHANNEL

A client names itself and its rooms by its auth value, and may have the node do things by the event `do`.
"""

import importlib
import sys
from typing import Any

import uvicorn

MODULE, PORT, CHANNEL = sys.argv[1], int(sys.argv[2]), sys.argv[3]
socketio = importlib.import_module(MODULE)
manager = socketio.AsyncRedisManager("redis://localhost:6379/0", channel=CHANNEL)
sio: Any = socketio.AsyncServer(async_mode="asgi", client_manager=manager)
left: list[Any] = []
answers: list[Any] = []


@sio.event
async def connect(sid: str, environ: dict[str, Any], auth: dict[str, Any]) -> None:
    """Remember the name, and enter the rooms."""
    await sio.save_session(sid, auth)
    for room in auth["rooms"]:
        await sio.enter_room(sid, room)


@sio.event
async def disconnect(sid: str, reason: str) -> None:
    """Remember who has left."""
    left.append([(await sio.get_session(sid))["name"], reason])


@sio.event
async def add(sid: str, number: int) -> int:
    """Acknowledge, and tell a room."""
    await sio.emit("added", number, room="all", skip_sid=sid)
    return number + 1


@sio.on("do")
async def do(sid: str, what: str, *values: Any) -> Any:
    """Do what the test asks for."""
    if what == "emit":
        event, value, to, skip = values
        await sio.emit(event, value, to=to, skip_sid=skip)
    elif what == "ask":
        await sio.emit("question", values[1], to=values[0], callback=lambda *found: answers.append(found))
    elif what == "answers":
        found, answers[:] = list(answers), []
        return found
    elif what == "left":
        return list(left)
    elif what == "enter":
        await sio.enter_room(*values)
    elif what == "leave":
        await sio.leave_room(*values)
    elif what == "close":
        await sio.close_room(*values)
    elif what == "disconnect":
        await sio.disconnect(*values)
    else:
        raise ValueError(what)
    return None


if __name__ == "__main__":
    options = {"log_level": "error", "lifespan": "off", "timeout_graceful_shutdown": 1}
    uvicorn.run(socketio.ASGIApp(sio), port=PORT, **options)
