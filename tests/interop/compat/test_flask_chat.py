"""The chat on Flask-SocketIO, which knows nothing of siox, under gunicorn's threads and under werkzeug."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from peers import JsClient, JsDriver, JsError
from started import Application, started

EXAMPLES = Path(__file__).parents[3] / "examples"
GUNICORN = (
    *("-m", "gunicorn", "-w", "1", "--worker-class", "gthread", "--threads", "2", "--no-control-socket"),
    *("--graceful-timeout", "2", "-b", "127.0.0.1:{port}", "flask_chat:web"),
)
"""Two threads, of which python-socketio would give one to each websocket, and one to each poll."""
WERKZEUG = ("flask_chat.py", "{port}")
HEAR = """
for (const event of ["came", "went", "said", "announced", "verdict"]) {
  socket.on(event, (...args) => report(event, ...args));
}
socket.on("picture", (picture, ack) => {
  report("picture", picture.from, picture.bytes.length);
  ack("nice");
});
"""
ASK = "return await socket.timeout(5000).emitWithAck(...args)"
pytestmark = [pytest.mark.node, pytest.mark.timeout(60)]


class Chat:
    """The application, and people in it."""

    def __init__(self, application: Application, js: JsDriver) -> None:
        self.application, self.js = application, js

    async def person(self, name: str, path: str) -> JsClient:
        """Somebody who has given a name."""
        cookies = await self.application.post("/login", name=name)
        headers = {"Cookie": "; ".join(f"{key}={value}" for key, value in cookies.items())}
        return await self.js.connect(
            self.application.url, path, setup=HEAR, options={"extraHeaders": headers}
        )


def said(name: str, room: str, text: str) -> list[Any]:
    return ["said", {"name": name, "room": room, "text": text}]


@pytest.mark.parametrize("program", [GUNICORN, WERKZEUG], ids=["gunicorn", "werkzeug"])
async def test_people_chat(program: tuple[str, ...], js: JsDriver) -> None:
    async with started(*program, cwd=EXAMPLES) as application:
        about = await application.get("/about")
        assert about == {"server": "siox.compat.socketio._server", "mode": "threading"}
        with pytest.raises(JsError, match="say your name first"):
            await js.connect(application.url, "websocket")
        chat = Chat(application, js)
        ada = await chat.person("Ada", "websocket")
        bo = await chat.person("Bo", "polling")
        cy = await chat.person("Cy", "upgrade")
        await they_talk(ada, bo, cy)
        await cy.upgrade()
        await pictures_are_answered(ada, bo, cy)
        await application.post("/announce", text="tea")
        for person in (ada, bo, cy):
            assert await person.next() == ["announced", "tea"]
        await they_go(ada, bo, cy)
        for person in (ada, bo, cy):
            assert person.reports.empty()
        assert any("siox drives" in line and "on the fast path" in line for line in application.log)


async def they_talk(ada: JsClient, bo: JsClient, cy: JsClient) -> None:
    """Two in one room and one in another: each hears those that are with him; the session counts."""
    assert await ada.run(ASK, "enter", "lobby") == ["Ada"]
    assert await bo.run(ASK, "enter", "lobby") == ["Ada", "Bo"]
    assert await ada.next() == ["came", "Bo", "lobby"]
    assert await cy.run(ASK, "enter", "attic") == ["Cy"]
    assert await cy.run(ASK, "say", "lobby", "let me in") == {"error": "you are not in lobby"}
    for number, text in enumerate(("hello", "is anybody there?"), 1):
        assert await ada.run(ASK, "say", "lobby", text) == {"said": number}
    assert await bo.run(ASK, "say", "lobby", "yes") == {"said": 1}
    assert await cy.run(ASK, "say", "attic", "nobody") == {"said": 1}
    for person in (ada, bo):
        for name, text in (("Ada", "hello"), ("Ada", "is anybody there?"), ("Bo", "yes")):
            assert await person.next() == said(name, "lobby", text)
    assert await cy.next() == said("Cy", "attic", "nobody")


async def pictures_are_answered(ada: JsClient, bo: JsClient, cy: JsClient) -> None:
    """Bytes for one client on each transport, and what they answer."""
    for person in (bo, cy):
        await ada.run("socket.emit('show', args[0], args[1])", person.id, b"\x89" * 5000)
        assert await person.next() == ["picture", "Ada", 5000]
        assert await ada.next() == ["verdict", "nice"]


async def they_go(ada: JsClient, bo: JsClient, cy: JsClient) -> None:
    """One leaves the room, another one closes the page."""
    assert await cy.run(ASK, "enter", "lobby") == ["Ada", "Bo", "Cy"]
    for person in (ada, bo):
        assert await person.next() == ["came", "Cy", "lobby"]
    await ada.run("socket.emit('leave', 'lobby')")
    for person in (bo, cy):
        assert await person.next() == ["went", "Ada", "lobby"]
    await bo.close()
    assert await cy.next() == ["went", "Bo", "lobby"]
    assert await cy.run(ASK, "say", "lobby", "so quiet") == {"said": 2}
    assert await cy.next() == said("Cy", "lobby", "so quiet")
