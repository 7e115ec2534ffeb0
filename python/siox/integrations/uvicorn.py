"""The WebSocket protocol class that gives uvicorn's sockets to siox.

`uvicorn app:app --ws siox.integrations.uvicorn:Protocol`. A websocket that reaches `io.asgi()` is then read
and written by siox itself, as fast as on its own listener; all others are uvicorn's as before.
"""

import asyncio
import logging

from uvicorn import __version__

log = logging.getLogger("siox")

OLDEST, NEXT = (0, 35), (1, 0)
"""Versions of uvicorn whose sockets can be had: from the first that has `websockets-sansio`."""


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def _choose(version: str) -> type[asyncio.Protocol]:
    """Return the protocol class for a version of uvicorn: its own where its sockets cannot be had.

    Raises:
        ImportError: it has none, since no websocket library is installed.
    """
    reason = f"uvicorn {version} is unknown to this version of siox"
    if OLDEST <= _version(version) < NEXT:
        try:
            from siox.integrations._giving import GivingProtocol
        except ImportError as error:
            reason = f"uvicorn {version} lacks what is needed ({error})"
        else:
            return GivingProtocol
    from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

    if AutoWebSocketsProtocol is None:
        raise ImportError(
            "uvicorn speaks WebSocket by a library that is not installed: pip install websockets"
        )
    log.warning("%s: its websockets are served by ASGI messages, which is slower", reason)
    assert isinstance(AutoWebSocketsProtocol, type)
    return AutoWebSocketsProtocol


Protocol = _choose(__version__)
