"""A bot in the chat of `siox demo`: it greets who comes in, and answers what begins with its name.

siox demo
python examples/bot.py [URL]
"""

import asyncio
import contextlib
import datetime
import itertools
import sys
from typing import Any

import siox

NAME = "Robin"
HELP = "I know: time, people, help."


async def run(url: str = "http://localhost:3000") -> None:
    """Stay in the lobby until the server says goodbye, or never comes."""
    socket = siox.connect(url, auth={"name": NAME, "room": "lobby"})
    numbers = itertools.count(1)
    people: list[str] = []

    async def say(text: str) -> None:
        """Type for a moment, as people do, then send it and wait for the first tick."""
        socket.volatile.emit("typing", True)
        await asyncio.sleep(0.5)
        socket.volatile.emit("typing", False)
        await socket.emit_with_ack("say", {"id": f"{socket.id}-{next(numbers)}", "text": text})

    @socket.on("entered")
    def entered(room: dict[str, Any]) -> None:
        people[:] = [person["name"] for person in room["people"]]
        print(f"in {room['room']} with {', '.join(people)}", flush=True)

    @socket.on("people")
    def changed(there: list[dict[str, Any]]) -> None:
        people[:] = [person["name"] for person in there]

    @socket.on("came")
    async def came(person: dict[str, Any]) -> None:
        await say(f"Hello {person['name']}! Say “{NAME}, help” if you need me.")

    @socket.on("said")
    async def said(message: dict[str, Any], ack: siox.Ack) -> None:
        ack()  # the sender's second tick
        called, _, question = message["text"].partition(",")
        if called.strip().casefold() == NAME.casefold():
            await say(answer(question.strip().casefold(), people))

    @socket.on("connect_error")
    def failed(error: siox.ConnectError) -> None:
        print(f"cannot connect: {error.message}", flush=True)

    await socket.wait()


def answer(question: str, people: list[str]) -> str:
    """What the bot says to a question."""
    if question.startswith("time"):
        return f"It is {datetime.datetime.now():%H:%M}."
    if question.startswith("people"):
        return f"Here are {', '.join(people)}."
    return HELP


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(*sys.argv[1:2]))
