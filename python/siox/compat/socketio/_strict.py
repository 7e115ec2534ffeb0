"""What python-socketio's own code lets pass on the visible path and siox does not. Never waits."""

from __future__ import annotations

from typing import Any

from socketio import packet

from siox.compat.socketio._connecting import takes_auth

RESERVED = {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
"""Names that no event of a peer may have (Source: Socket.IO protocol 5, "Event names")."""
REJECTED = {"message": "Connection rejected by server"}
UNABLE = {"message": "Unable to connect"}


def auth_for(server: Any, namespace: str, auth: Any) -> Any:
    """Return what a connect handler is given for an auth value: none of it where it has no place for it."""
    return auth if auth and takes_auth(server, namespace) else None


def turned_away(server: Any, namespace: str, refusal: dict[str, str]) -> Any:
    """Return the packet for who cannot be let in, or was already before its connect handler failed."""
    late = server.always_connect and refusal is REJECTED
    kind = packet.DISCONNECT if late else packet.CONNECT_ERROR
    return server.packet_class(kind, data=dict(refusal), namespace=namespace)


class ViolationError(ValueError):
    """A peer has sent what is no packet: its connection ends."""


def read(server: Any, eio_sid: str, data: str | bytes) -> Any:
    """Return the packet that a message completes; None while attachments are awaited.

    Raises:
        ViolationError: there is something wrong with it.
    """
    pending = server._binary_packet.get(eio_sid)
    try:
        if pending is None:
            found = _begin(server, eio_sid, data)
        else:
            found = _continue(server, eio_sid, pending, data)
    except ViolationError:
        server._binary_packet.pop(eio_sid, None)
        raise
    except Exception as error:
        server._binary_packet.pop(eio_sid, None)
        raise ViolationError(f"a packet that cannot be read: {error!r}") from error
    if found is not None:
        _check(found)
    return found


def _begin(server: Any, eio_sid: str, data: str | bytes) -> Any:
    if server.packet_class.uses_binary_events and not isinstance(data, str):
        raise ViolationError("an attachment that belongs to no packet")
    found = server.packet_class(encoded_packet=data)
    if found.packet_type not in {packet.BINARY_EVENT, packet.BINARY_ACK}:
        return found
    if not found.attachment_count:
        raise ViolationError("a binary packet without attachments")
    if found.attachment_count > server._bridge.max_attachments:
        raise ViolationError(f"{found.attachment_count} attachments are too many")
    if not server.manager.sid_from_eio_sid(eio_sid, found.namespace or "/"):
        raise ViolationError("a binary packet of a namespace that was not joined")
    server._binary_packet[eio_sid] = found
    return None


def _continue(server: Any, eio_sid: str, pending: Any, data: str | bytes) -> Any:
    if isinstance(data, str):
        raise ViolationError("a text where an attachment is due")
    if not pending.add_attachment(data):
        return None
    del server._binary_packet[eio_sid]
    return pending


def _check(found: Any) -> None:
    kind, data = found.packet_type, found.data
    if kind in {packet.EVENT, packet.BINARY_EVENT}:
        if not isinstance(data, list) or not data or not isinstance(data[0], (str, int)):
            raise ViolationError("an event without a name")
        if data[0] in RESERVED:
            raise ViolationError(f"an event may not be named {data[0]!r}")
    elif kind in {packet.ACK, packet.BINARY_ACK}:
        if not isinstance(data, list) or found.id is None:
            raise ViolationError("an acknowledgement without an id or values")
    elif kind not in {packet.CONNECT, packet.DISCONNECT}:
        raise ViolationError(f"a packet of type {kind}, which clients do not send")
