"""The chat of `siox demo`, written to be read: rooms, acks, volatile events, binary, broadcast."""

from __future__ import annotations

import time
from collections import deque
from importlib.resources import files
from pathlib import Path
from typing import Any

import siox

PAGE = {"/": "index.html", "/style.css": "style.css", "/chat.js": "chat.js"}
PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
ALWAYS_OPEN = ("lobby", "garden", "workshop")
REMEMBERED = 40
"""Messages that a room keeps for those who come later; a room without people forgets."""


def create_server(client: Path | None = None) -> siox.Server:
    """Build the chat.

    Args:
        client: folder with the official JavaScript client, served below `/socket.io/`. Without it the page
            takes the client from cdn.socket.io.
    """
    folder = Path(str(files(__package__)))
    io = siox.Server(
        static_files={url: folder / name for url, name in PAGE.items()},
        serve_client=client or False,
    )
    Chat(io)
    return io


class Chat:
    """People in rooms."""

    def __init__(self, io: siox.Server) -> None:
        self.io = io
        self.people: dict[str, dict[str, dict[str, Any]]] = {room: {} for room in ALWAYS_OPEN}
        self.history: dict[str, deque[dict[str, Any]]] = {}
        io.use(self.admit)
        io.on("connection", self.connection)
        io.event("enter", self.enter)
        io.event("say", self.say)
        io.event("typing", self.typing)
        io.event("announce", self.announce)
        io.event("disconnect", self.disconnect)

    def admit(self, socket: siox.Socket) -> None:
        """Middleware: whoever has no name stays outside, and is told why."""
        auth = socket.handshake.auth
        name = clean(auth.get("name") if isinstance(auth, dict) else None, 24)
        if not name:
            raise siox.RefusedError("Please choose a name", {"field": "name"})
        socket.data["person"] = {"id": socket.id, "name": name}
        socket.data["room"] = None
        socket.data["first_room"] = clean(auth.get("room"), 24) or ALWAYS_OPEN[0]

    def connection(self, socket: siox.Socket) -> None:
        """Everyone starts in the room that they asked for."""
        self.enter(socket, socket.data.pop("first_room"))

    def enter(self, socket: siox.Socket, room: Any) -> None:
        """Leave one room, join another; both are told."""
        room = clean(room, 24)
        if not room:
            raise siox.EventError("A room needs a name")
        self.leave(socket)
        socket.join(f"room:{room}")
        socket.data["room"] = room
        self.people.setdefault(room, {})[socket.id] = socket.data["person"]
        people = list(self.people[room].values())
        socket.emit("entered", {"room": room, "people": people, "history": list(self.history.get(room, ()))})
        others = socket.to(f"room:{room}")
        others.emit("came", socket.data["person"])
        others.emit("people", people)
        self.tell_rooms()

    def leave(self, socket: siox.Socket) -> None:
        """Leave the room, if in one."""
        room = socket.data["room"]
        if room is None:
            return
        socket.data["room"] = None
        socket.leave(f"room:{room}")
        self.people[room].pop(socket.id, None)
        self.io.to(f"room:{room}").emit("went", socket.data["person"])
        self.io.to(f"room:{room}").emit("people", list(self.people[room].values()))
        if not self.people[room]:
            self.history.pop(room, None)
            if room not in ALWAYS_OPEN:
                del self.people[room]

    def say(self, socket: siox.Socket, message: Any) -> dict[str, Any]:
        """Send a message to the room. What is returned is the sender's first tick.

        The second tick comes when every other tab in the room has called its acknowledgement.
        """
        room, said = socket.data["room"], read_message(message)
        said |= {"from": socket.data["person"], "at": int(time.time() * 1000)}
        asked = len(self.people[room]) - 1

        def answered(error: siox.AckTimeoutError | None, answers: list[Any]) -> None:
            got = answers if error is None else error.responses
            socket.emit("delivered", said["id"], len(got), asked)

        if asked:
            socket.to(f"room:{room}").timeout(10).emit("said", said, answered)
        remembered = said | {"image": said["image"] and said["image"] | {"bytes": None}}
        self.history.setdefault(room, deque(maxlen=REMEMBERED)).append(remembered)
        return {"at": said["at"]}

    def typing(self, socket: siox.Socket, active: Any) -> None:
        """Who is typing matters only now: volatile, so it is dropped where it cannot be sent at once."""
        socket.to(f"room:{socket.data['room']}").volatile.emit("typing", socket.data["person"], bool(active))

    def announce(self, socket: siox.Socket, text: Any) -> None:
        """Tell everyone, in every room."""
        text = clean(text, 200)
        if not text:
            raise siox.EventError("An announcement needs words")
        self.io.emit("announcement", {"from": socket.data["person"], "text": text})

    def disconnect(self, socket: siox.Socket, reason: str) -> None:
        """A tab was closed, or its connection is lost."""
        self.leave(socket)
        self.tell_rooms()

    def tell_rooms(self) -> None:
        """The list of rooms, to everyone."""
        self.io.emit("rooms", [{"name": room, "count": len(people)} for room, people in self.people.items()])


def clean(text: Any, length: int) -> str:
    """What came from outside, as a short line of text."""
    return " ".join(text.split())[:length] if isinstance(text, str) else ""


def read_message(message: Any) -> dict[str, Any]:
    """Check a message that came from outside.

    Raises:
        siox.EventError: it is not one; the sender's acknowledgement says why.
    """
    if (
        not isinstance(message, dict)
        or not isinstance(message.get("id"), str)
        or not isinstance(message.get("text"), str)
    ):
        raise siox.EventError("A message has an id and a text")
    text, image = message["text"].strip()[:2000], message.get("image")
    if image is not None:
        if (
            not isinstance(image, dict)
            or image.get("type") not in PICTURES
            or not isinstance(image.get("bytes"), bytes)
        ):
            raise siox.EventError("A picture is a PNG, JPEG, GIF or WebP")
        image = {
            "name": clean(image.get("name"), 80) or "picture",
            "type": image["type"],
            "bytes": image["bytes"],
        }
    if not text and image is None:
        raise siox.EventError("The message is empty")
    return {"id": message["id"][:64], "text": text, "image": image}
