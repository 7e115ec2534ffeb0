"""What `async_mode` python-engineio knows and siox does not, and what to use instead."""

from __future__ import annotations

REFUSED = {
    "eventlet": "eventlet is no longer developed: use async_mode='threading' (with gunicorn: --threads 100, "
    "no worker class of eventlet's), or async_mode='gevent'",
    "gevent_uwsgi": "uWSGI keeps its connections to itself: serve by gunicorn with --threads 100 and "
    "async_mode='threading', or by gevent's own server and async_mode='gevent'",
}


class RefusedModeError(ValueError):
    """A server was to be made for such a mode; the message says what to use."""


def check(mode: object) -> None:
    """Look whether siox has a mode.

    Raises:
        RefusedModeError: it has not.
    """
    if isinstance(mode, str) and mode in REFUSED:
        raise RefusedModeError(f"async_mode={mode!r}: {REFUSED[mode]}")
