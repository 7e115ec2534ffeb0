"""Checks of a client's options, beside those that a server has as well."""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from siox._checks import check_file, check_seconds, check_strings, check_timeout
from siox._target import parse_proxy
from siox.exceptions import UsageError

if TYPE_CHECKING:
    from siox.config import ClientConfig


FOR_EVER = 2**32 - 1
"""Retries without an end, as the core has it."""


def check_together(config: ClientConfig) -> None:
    """Refuse options that contradict each other.

    Raises:
        UsageError: which do.
    """
    if config.ssl is not None and (config.ca, config.cert, config.verify) != (None, None, True):
        raise UsageError("ssl=… takes the place of ca, cert and verify: set these on the context")
    if config.low_water > config.high_water:
        raise UsageError(
            f"low_water={config.low_water}: not above high_water, which is {config.high_water} bytes"
        )
    if config.uds is not None and config.proxy is not None:
        raise UsageError("uds=… names a Unix socket, which no proxy leads to")


def check_attempts(name: str, value: Any) -> int | None:
    """Return a number of attempts, None: no end."""
    if value is None or value == float("inf"):
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(f"{name}={value!r}: a whole number is needed, or None for no limit")
    return value


def check_retries(name: str, value: Any) -> int | None:
    """Return how often an event is sent again; None and 0: never, and nobody waits for an answer."""
    if value == float("inf"):
        return FOR_EVER
    return check_attempts(name, value) or None


def check_delay(name: str, value: Any) -> float:
    """Return seconds that may be 0."""
    return 0.0 if value == 0 and not isinstance(value, bool) else check_timeout(name, value)


def check_factor(name: str, value: Any) -> float:
    """Return a part of a whole."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise UsageError(f"{name}={value!r}: a number from 0 to 1 is needed")
    return float(value)


def check_timeout_or_none(name: str, value: Any) -> float | None:
    """Return seconds; None and False: no limit."""
    return None if value is None or value is False else check_timeout(name, value)


def check_wait(value: Any) -> float | None:
    """Return the seconds of `wait=…`."""
    return None if value is None else check_seconds("wait", value)


def check_auth(name: str, value: Any) -> Any:
    """Return what may be an object in JSON, or a function that returns one."""
    if isinstance(value, (str, bytes, bytearray, int, float, list, tuple)):
        raise UsageError(f"{name}={value!r}: a dict is needed, or a function that returns one")
    return value


def check_query(name: str, value: Any) -> dict[str, str]:
    """Return a query's names and values as text."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(f"{name}={value!r}: a dict of names and values is needed")
    return {key: _text(f"{name}[{key!r}]", each) for key, each in value.items() if each is not None}


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise UsageError(f"{name}={value!r}: a string or a number is needed")
    return str(value)


def check_headers(name: str, value: Any) -> tuple[tuple[str, str], ...]:
    """Return header fields as pairs, in their order."""
    pairs = value.items() if isinstance(value, Mapping) else value
    try:
        return tuple((check_strings(name, key)[0], _text(f"{name}[{key!r}]", each)) for key, each in pairs)
    except (TypeError, ValueError):
        raise UsageError(f"{name}={value!r}: a dict of names and values is needed") from None


def check_proxy(name: str, value: Any) -> Any:
    """Return a proxy's URL, True for the environment's, or None."""
    if value is None or value is False:
        return None
    if value is not True:
        if not isinstance(value, str):
            raise UsageError(f"{name}={value!r}: a URL is needed, or True for that of the environment")
        parse_proxy(value)
    return value


def check_context(name: str, value: Any) -> ssl.SSLContext | None:
    """Return an `ssl.SSLContext`."""
    if value is not None and not isinstance(value, ssl.SSLContext):
        raise UsageError(f"{name}={value!r}: an ssl.SSLContext is needed; see also ca, cert and verify")
    return value


def check_certificate(name: str, value: Any) -> tuple[str, str | None, str | None] | None:
    """Return the files of certificate and key, and the password of the latter."""
    if value is None:
        return None
    if isinstance(value, (str, os.PathLike)):
        return check_file(name, value), None, None
    if not isinstance(value, (tuple, list)) or not 2 <= len(value) <= 3:
        raise UsageError(
            f"{name}={value!r}: a file is needed, or (certificate, key), or these and a password"
        )
    password = value[2] if len(value) == 3 else None
    return check_file(name, value[0]), check_file(name, value[1]), password


def check_uds(name: str, value: Any) -> str | None:
    """Return the path of a Unix socket, which may not be there yet."""
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise UsageError(f"{name}={value!r}: the path of a Unix socket is needed")
    return os.fspath(value)


def make_context(
    ca: str | None, cert: tuple[str, str | None, str | None] | None, verify: bool
) -> ssl.SSLContext:
    """Return what TLS is spoken with.

    Raises:
        UsageError: a file holds something else than it should.
    """
    if ca is None and cert is None:
        return _plain_context(verify)
    try:
        context = _new_context(ca, verify)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"ca={ca!r} holds no certificates in PEM: {error}") from error
    if cert is not None:
        try:
            context.load_cert_chain(*cert)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"cert={cert[0]!r}: no certificate with its key in PEM: {error}") from error
    return context


@functools.cache
def _plain_context(verify: bool) -> ssl.SSLContext:
    """One for all: it takes milliseconds to read the system's authorities."""
    return _new_context(None, verify)


def _new_context(ca: str | None, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
