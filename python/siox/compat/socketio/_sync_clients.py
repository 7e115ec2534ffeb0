"""The clients of a blocking server on the fast path: they join, send events, answer and leave."""

from __future__ import annotations

from functools import partial
from typing import Any

import socketio

from siox.compat.socketio._clients import Client, Session, State, reason_of
from siox.compat.socketio._connecting import arguments_of, refusal_of
from siox.compat.socketio._strict import UNABLE
from siox.compat.socketio._sync_lanes import Lanes
from siox.compat.socketio._threads import Act, Lane


class Clients(Lanes):
    """See the module. The engine calls it on the thread of the loop in the background."""

    # -- joining

    def connect(self, key: int, namespace: str, sid: str, auth: Any) -> Any:
        """A CONNECT came."""
        client = self.add_client(key, namespace, sid)
        client.auth = auth or None  # python-socketio's clients send {} where there is nothing
        return client

    def admit(self, client: Client) -> None:
        """Have the connect handler called, and answer."""
        auth, client.auth = client.auth, None
        if self.core._dispatcher.draining:
            self.drop_client(client)
        elif self.accepts(client.namespace):
            self.lane(client.session).post(partial(self._join, client, auth))
        else:
            self._turn_away(client, UNABLE)

    def _join(self, client: Client, auth: Any) -> None:
        always = self.sio.always_connect
        if always:
            self._let_in(client)
        refusal = self._ask(client, auth)
        with self.lock:
            if not self.fast and client.left is None:
                self.forget(client)
            visible = not self.fast
        if visible:
            self._join_visibly(client, refusal)
            return
        if refusal is None:
            if not always:
                self._let_in(client)
            return
        client.silent = True
        if always:
            client.state = State.LEAVING  # what it has sent meanwhile is nobody's
        if client.left is not None:
            return  # what comes next in the lane lets go of it
        if always:
            self.engine.disconnect(client._key, False)
        else:
            self._turn_away(client, refusal)

    def _let_in(self, client: Client) -> None:
        with self.lock:
            if client.state is State.JOINING and client.left is None:
                self.accept(client)
                if not self.fast and hasattr(self.sio.manager, "pending_connect"):  # else it is in already
                    self.sio.manager.connect(client.id, client.namespace)

    def _join_visibly(self, client: Client, refusal: dict[str, Any] | None) -> None:
        """The connect handler was under way when python-socketio's code took over."""
        if refusal is None:
            self._let_in(client)
            return
        client.silent = True
        if client.left is not None:
            return
        if self.sio.always_connect:
            self.sio.disconnect(client.id, client.namespace)
        else:
            self.refuse(client, refusal)
            self.sio.manager.disconnect(client.id, client.namespace, ignore_queue=True)

    def _turn_away(self, client: Client, refusal: Any) -> None:
        self.refuse(client, refusal)
        self.drop_client(client)

    def _ask(self, client: Client, auth: Any) -> dict[str, Any] | None:
        """Call the connect handler; return what refuses the client, None to let it in."""
        sio, namespace, sid = self.sio, client.namespace, client.id
        try:
            self.initialize_manager()
            function, arguments = arguments_of(sio, namespace, (sid, sio.environ[client.session.sid], auth))
            result = None if function is None else function(*arguments)
        except BaseException as error:  # gevent's Timeout, too: the client waits for an answer
            return refusal_of(error, sio.logger, sid)
        return socketio.exceptions.ConnectionRefusedError().error_args if result is False else None

    # -- leaving

    def disconnect(self, client: Client, reason: str, details: str | None) -> None:
        """A socket is gone; its rooms stand until its disconnect handler has ended."""
        client.left = client.session.reason or reason_of(reason, details)
        self.lane(client.session).post(partial(self._left, client))

    def _left(self, client: Client) -> None:
        """Call the disconnect handler, unless somebody who disconnects the client does."""
        if self.claim(client):
            if not client.silent:
                self.leave(client, client.left or self.sio.reason.TRANSPORT_CLOSE)
            self.drop_client(client)

    def leave(self, client: Client, reason: str) -> None:
        """Call the disconnect handler, in this thread."""
        try:
            function, values = arguments_of(self.sio, client.namespace, (client.id, reason), "disconnect")
            if function is not None:
                function(*values)
        except BaseException:
            self.sio.logger.exception("the disconnect handler of %s failed", client.id)

    def marked(self, client: Client, event: str, count: int | None) -> None:
        """The outbox of a client came to a mark: applications of python-socketio know no such event."""

    def end(self, client: Client) -> None:
        """Disconnect a client, and call its disconnect handler in this thread."""
        if self.claim(client):
            self.engine.disconnect(client._key, False)
            self.leave(client, self.sio.reason.SERVER_DISCONNECT)
            self.drop_client(client)

    # -- events

    def event(
        self, client: Client, name: str | int, values: tuple[Any, ...], ack_id: int | None, size: int
    ) -> None:
        """An event came."""
        sio = self.sio
        sio.logger.info('received event "%s" from %s [%s]', name, client.id, client.namespace)
        self.engine.handler_started(client._key)
        act = partial(self._handle, client, name, values, ack_id)
        if sio.always_connect and self.lane(client.session).busy:  # its connect handler may run still
            self.lane(client.session).post(partial(self._handle_later, client, act))
        else:
            self.runner.post(act)

    def _handle_later(self, client: Client, act: Act) -> None:
        if client.state is State.CONNECTED:
            self.runner.post(act)
        else:
            self.engine.handler_ended(client._key)

    def _handle(self, client: Client, name: Any, values: tuple[Any, ...], ack_id: int | None) -> None:
        """Call the handler of an event; what it returns is the answer."""
        sio, engine = self.sio, self.engine
        try:
            result = sio._trigger_event(name, client.namespace, client.id, *values)
            if ack_id is not None and result is not sio.not_handled:
                engine.acknowledge(client._key, ack_id, _values_of(result))
        except BaseException:
            sio.logger.exception("handler of event %r failed for %s", name, client.id)
        finally:
            engine.handler_ended(client._key)

    def answered(self, client: Client, callback: Any, failure: str | None, values: Any) -> None:
        """A client has answered, or never will."""
        if failure is None:
            self._answers(client.session).post(partial(self._call_back, client, callback, values))

    def _answers(self, session: Session) -> Lane:
        """Return where callbacks run: beside the handlers, which may wait for them."""
        work = self._work(session)
        if work.answers is None:
            work.answers = Lane(self.runner, self._lanes)
        return work.answers

    def _call_back(self, client: Client, callback: Any, values: tuple[Any, ...]) -> None:
        try:
            callback(*values)
        except BaseException:
            self.sio.logger.exception("the callback of an answer of %s failed", client.id)

    def slow(self, entry: Any, name: str, seconds: float) -> None:
        """No handler holds the loop of a blocking server."""


def _values_of(result: Any) -> tuple[Any, ...]:
    """Return the values of an answer: a handler's result, of which a tuple is several."""
    if result is None:
        return ()
    return result if isinstance(result, tuple) else (result,)
