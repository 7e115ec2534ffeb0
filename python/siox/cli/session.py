"""A live session: what its sockets do becomes lines, and lines that are typed become events."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any, Protocol

import siox
from siox.cli.show import Happening, Readable, now
from siox.cli.values import NotAnEventError, parse_line, parse_values_of

QUESTIONS = 1000
"""Of the server that may be answered, the latest ones."""
HELP = (
    'hello 1 "two" {"three": [4]}   emits an event; "quote a name" with spaces; @file is the bytes of a file',
    "?hello 1                       asks for an answer",
    '!3 "yes"                       answers the question number 3',
    "/chat hello                    in another namespace of this session",
)


class Source(Protocol):
    """Where lines come from, and where they go."""

    def start(
        self, take: Callable[[str], None], end: Callable[[], None], unread: Callable[[], None], /
    ) -> None:
        """Begin."""

    def stop(self) -> None:
        """Take no more lines."""

    def print(self, line: str, /) -> None:
        """Show a line."""


class Session:
    """See the module."""

    def __init__(
        self,
        sockets: Sequence[siox.ClientSocket],
        source: Source,
        *,
        write: Callable[[Happening], str | None],
        beside: Readable | None,
        ask_always: bool = False,
        timeout: float = 10.0,
        retry: bool = True,
    ) -> None:
        self._sockets = {socket.namespace: socket for socket in sockets}
        self._first = sockets[0]
        self._source, self._write, self._beside = source, write, beside
        self._ask_always, self._timeout, self._retry = ask_always, timeout, retry
        self._asked = self._questions_asked = 0
        self._questions: dict[int, tuple[str, siox.Ack]] = {}
        self._failed: set[str] = set()
        self._trying: set[str] = set()
        self._over = asyncio.Event()
        self._patient = True
        for socket in sockets:
            self._watch(socket)
        self._first.manager.on("upgrade", self._upgraded)

    async def run(self) -> int:
        """Connect, and go on until input ends, Ctrl-C, or all has ended; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        try:
            for socket in self._sockets.values():
                socket.connect()
            self._source.start(self._take, self._over.set, self._unread)
            await self._over.wait()
            self._source.stop()
            await self._leave()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        in_vain = self._patient and bool(self._trying)
        if in_vain:
            self._complain("the input has ended, and there is no connection: what was kept is not sent")
        return 1 if self._failed or in_vain else 0

    def say(self, line: str) -> None:
        """Show a line that is no happening."""
        try:
            self._source.print(line)
        except BrokenPipeError:
            self._unread()

    # -- the end

    def _unread(self) -> None:
        """Whoever read it has enough: `siox connect … | head`."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        self._interrupt()

    def _interrupt(self) -> None:
        self._patient = False
        self._over.set()

    async def _leave(self) -> None:
        """Wait for what was emitted and asked, unless there is a hurry; then disconnect."""
        if self._patient and not self._failed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timeout), contextlib.AsyncExitStack() as stack:
                    for socket in self._sockets.values():
                        await stack.enter_async_context(socket)
        for socket in self._sockets.values():
            await socket.disconnect()
        await self._first.manager.close()

    def _ended(self, socket: siox.ClientSocket, *, failed: bool) -> bool:
        """Whether a socket will not connect again by itself; when none will, the session is over."""
        if self._retry and socket.active:
            self._trying.add(socket.namespace)
            return False
        self._trying.discard(socket.namespace)
        if failed:
            self._failed.add(socket.namespace)
        if not self._retry or not any(each.active for each in self._sockets.values()):
            self._over.set()
        return True

    # -- what happens

    def _tell(self, kind: str, namespace: str, **more: Any) -> None:
        line = self._write({"time": now(), "type": kind, "namespace": namespace, **more})
        if line is not None:
            self.say(line)

    def _watch(self, socket: siox.ClientSocket) -> None:
        known: set[str] = set()

        # A listener for each name, before its first event: only listeners are told of questions.
        @socket.use
        def learn(event: str, values: list[Any]) -> None:
            if event not in known:
                known.add(event)
                socket.on(event, partial(self._heard, socket.namespace, event))

        socket.on("connect", lambda: self._connected(socket))
        socket.on("connect_error", lambda error: self._refused(socket, error))
        socket.on("disconnect", lambda reason, details: self._disconnected(socket, reason, details))
        socket.on("dropped", lambda event, reason: self._dropped(socket, event, reason))

    def _connected(self, socket: siox.ClientSocket) -> None:
        self._trying.discard(socket.namespace)
        self._tell(
            "connect",
            socket.namespace,
            id=socket.id,
            transport=socket.manager.engine.transport,
            recovered=socket.recovered,
        )

    def _upgraded(self, transport: str) -> None:
        self._tell("upgrade", self._first.namespace, transport=transport)

    def _refused(self, socket: siox.ClientSocket, error: siox.ConnectError) -> None:
        ended = self._ended(socket, failed=True)
        # What concerns the connection is said once, not by each of its namespaces.
        if ended or socket is self._first:
            self._tell(
                "connect_error", socket.namespace, message=error.message, data=error.data, retrying=not ended
            )

    def _disconnected(self, socket: siox.ClientSocket, reason: str, details: Any) -> None:
        if reason == "io client disconnect":
            return
        ended = self._ended(socket, failed=not self._retry)
        told = None if details is None else str(details)
        self._tell("disconnect", socket.namespace, reason=reason, details=told, retrying=not ended)

    def _dropped(self, socket: siox.ClientSocket, event: str, reason: str) -> None:
        self._tell("dropped", socket.namespace, event=event, reason=reason)

    def _heard(self, namespace: str, event: str, *values: Any, ack: siox.Ack) -> None:
        question = None
        if ack.wanted:
            self._questions_asked += 1
            question = self._questions_asked
            self._questions[question] = (namespace, ack)
            self._questions.pop(question - QUESTIONS, None)
        self._tell("event", namespace, event=event, values=values, question=question)

    # -- what is typed

    def _take(self, line: str) -> None:
        line = line.strip()
        if not line:
            return
        try:
            if line == "?":
                self._explain()
            elif line.startswith("!"):
                self._answer(line[1:])
            else:
                self._emit(line)
        except (NotAnEventError, siox.UsageError, TypeError) as error:
            self._complain(str(error))

    def _emit(self, line: str) -> None:
        socket, asks = self._first, self._ask_always
        if line.startswith("?"):
            line, asks = line[1:].lstrip(), True
        if line.startswith("/"):
            name, _, line = line.partition(" ")
            if name not in self._sockets:
                raise NotAnEventError(f"this session is not in {name}, only in {', '.join(self._sockets)}")
            socket = self._sockets[name]
        event, values = parse_line(line)
        if not event:
            raise NotAnEventError("an event needs a name")
        number = None
        if asks:
            self._asked += 1
            number = self._asked
            answered = partial(self._answered, socket.namespace, number, monotonic())
            socket.timeout(self._timeout).emit(event, *values, ack=answered)
        else:
            socket.emit(event, *values)
        self._tell(
            "emit", socket.namespace, event=event, values=values, ack=number, connected=socket.connected
        )

    def _answered(
        self, namespace: str, number: int, since: float, error: Exception | None, *values: Any
    ) -> None:
        sentence = None
        if isinstance(error, siox.AckTimeoutError):
            sentence = f"no answer within {self._timeout:g} s"
        elif error is not None:
            sentence = f"no answer: {error}"
        self._tell(
            "ack", namespace, ack=number, error=sentence, values=values, seconds=round(monotonic() - since, 6)
        )

    def _answer(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        if not word.isdecimal() or int(word) not in self._questions:
            raise NotAnEventError(f"there is no question {word!r}; write ! and its number, such as !3")
        values = parse_values_of(rest)
        namespace, ack = self._questions[int(word)]
        ack(*values)
        del self._questions[int(word)]
        self._tell("answer", namespace, question=int(word), values=values)

    def _explain(self) -> None:
        if self._beside is not None:
            for line in HELP:
                self.say(self._beside.note(line))

    def _complain(self, sentence: str) -> None:
        if self._beside is not None:
            self.say(self._beside.complaint(sentence))
        else:
            sys.stderr.write(f"siox: {sentence}\n")
