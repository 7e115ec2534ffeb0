"""A chat on Flask-SocketIO, written as such applications are. What drives it is decided where it is started.

python examples/flask_chat.py [PORT]                     on python-socketio
python -m siox.compat examples/flask_chat.py [PORT]      on siox
python -m siox.compat -m gunicorn -w 1 --threads 8 --chdir examples flask_chat:web
"""

from __future__ import annotations

import sys
from typing import Any

import flask
from flask_socketio import ConnectionRefusedError as Refused
from flask_socketio import SocketIO, emit, join_room, leave_room, rooms

PAGE = """<!doctype html><title>Chat</title>
<form method="post" action="/login"><input name="name" placeholder="Your name"><button>Come in</button></form>
<form id="say"><input id="text" placeholder="Say something"><button>Say</button></form>
<ul id="said"></ul>
<script src="https://cdn.socket.io/4.8.4/socket.io.min.js"></script>
<script>
  const socket = io();
  const list = document.getElementById("said");
  const show = (text) => (list.appendChild(document.createElement("li")).textContent = text);
  socket.on("connect", () => socket.emit("enter", "lobby", (people) => show(`Here: ${people.join(", ")}`)));
  socket.on("came", (name, room) => show(`${name} came into ${room}`));
  socket.on("went", (name, room) => show(`${name} left ${room}`));
  socket.on("said", (message) => show(`${message.name}: ${message.text}`));
  socket.on("connect_error", (error) => show(error.message));
  document.getElementById("say").onsubmit = (event) => {
    event.preventDefault();
    const text = document.getElementById("text").value;
    socket.emit("say", "lobby", text, (answer) => answer.error && show(answer.error));
  };
</script>
"""

web = flask.Flask(__name__)
web.secret_key = "known to everybody who reads this"
io = SocketIO(web, async_mode="threading")
people: dict[str, dict[str, str]] = {}
"""Who is where: names by sid, by room."""


@web.get("/")
def page() -> str:
    """What people see."""
    return PAGE


@web.get("/about")
def about() -> dict[str, str]:
    """What drives the chat."""
    return {"server": type(io.server).__module__, "mode": io.async_mode}


@web.post("/login")
def login() -> Any:
    """An ordinary form, into Flask's session."""
    flask.session["name"] = flask.request.form["name"]
    return flask.redirect("/")


@web.post("/announce")
def announce() -> dict[str, bool]:
    """From a view, to everybody."""
    io.emit("announced", flask.request.form["text"])
    return {"announced": True}


@io.on("connect")
def connect(auth: Any = None) -> None:
    """Let in who has a name; what they say is counted in their copy of the session."""
    if "name" not in flask.session:
        raise Refused("say your name first")
    flask.session["said"] = 0


@io.on("enter")
def enter(room: str) -> list[str]:
    """Come into a room. The acknowledgement says who is there."""
    join_room(room)
    there = people.setdefault(room, {})
    there[flask.request.sid] = flask.session["name"]  # type: ignore[attr-defined]
    emit("came", (flask.session["name"], room), to=room, include_self=False)
    return sorted(there.values())


@io.on("say")
def say(room: str, text: str) -> dict[str, Any]:
    """Say something in a room that one is in."""
    if room not in rooms():
        raise ValueError(f"you are not in {room}")
    flask.session["said"] += 1
    emit("said", {"name": flask.session["name"], "room": room, "text": text}, to=room)
    return {"said": flask.session["said"]}


@io.on("show")
def show(sid: str, picture: bytes) -> None:
    """A picture for one of them, who says whether it is nice: the answer goes back to the sender."""
    sender = flask.request.sid  # type: ignore[attr-defined]

    def answered(verdict: str) -> None:
        io.emit("verdict", verdict, to=sender)

    emit("picture", {"from": flask.session["name"], "bytes": picture}, to=sid, callback=answered)


@io.on("leave")
def leave(room: str) -> None:
    """Leave a room."""
    leave_room(room)
    gone(room)


@io.on("disconnect")
def disconnect(reason: str) -> None:
    """Leave all of them."""
    for room in list(people):
        gone(room)


def gone(room: str) -> None:
    """Tell those who stay."""
    if people.get(room, {}).pop(flask.request.sid, None):  # type: ignore[attr-defined]
        io.emit("went", (flask.session["name"], room), to=room)


@io.on_error_default
def failed(error: Exception) -> dict[str, str]:
    """What goes wrong in a handler is its acknowledgement."""
    return {"error": str(error)}


if __name__ == "__main__":
    io.run(web, port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000, allow_unsafe_werkzeug=True)
