"""Why a stream cannot be opened, or broke, is said in one sentence; addresses race."""

from __future__ import annotations

import asyncio
import errno
import socket as sockets
import ssl
from typing import Any

import pytest

from siox import _reach
from siox._reach import UnreachableError, broken, reach
from siox._target import Target

HERE = Target(host="example.com", port=3000, secure=True)


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.ECONNREFUSED, ""),
            "nothing listens on port 3000 of example.com: is the server started?",
        ),
        (ConnectionResetError(errno.ECONNRESET, ""), "port 3000 of example.com cut the connection"),
        (BrokenPipeError(errno.EPIPE, ""), "port 3000 of example.com cut the connection"),
        (OSError(errno.ETIMEDOUT, ""), "port 3000 of example.com does not answer"),
        (
            OSError(errno.ENETUNREACH, ""),
            "port 3000 of example.com cannot be reached from here: network is unreachable",
        ),
        (OSError(errno.EMFILE, ""), "port 3000 of example.com: too many open files"),
        (OSError("something else"), "port 3000 of example.com: something else"),
        (UnreachableError("as it is"), "as it is"),
        (
            tls("WRONG_VERSION_NUMBER"),
            "port 3000 of example.com does not speak TLS: is it http:// instead of https://?",
        ),
        (
            tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
            "no TLS connection to port 3000 of example.com: tlsv13 alert certificate required",
        ),
        (RuntimeError("odd"), "RuntimeError: odd"),
    ],
)
def test_every_failure_has_its_sentence(error: Exception, sentence: str) -> None:
    assert broken(error, HERE) == sentence


def addresses(*ports: int) -> list[Any]:
    return [(sockets.AF_INET, sockets.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]


async def test_an_address_that_is_silent_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async def attempt(address: Any) -> sockets.socket:
        if address[4][1] == 1:
            await asyncio.sleep(100)
        await asyncio.sleep(0.01)
        made.append(sockets.socket())
        return made[-1]

    made: list[sockets.socket] = []
    monkeypatch.setattr(_reach, "_attempt", attempt)
    monkeypatch.setattr(_reach, "HEAD_START", 0.005)
    found = await _reach._race(addresses(1, 2, 3))
    assert found is made[0]
    await asyncio.sleep(0.05)
    # Who comes second is closed.
    assert [socket.fileno() for socket in made[1:]] == [-1] * (len(made) - 1)
    found.close()


async def test_all_that_fail_give_the_first_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    async def attempt(address: Any) -> sockets.socket:
        raise OSError(address[4][1], "")

    monkeypatch.setattr(_reach, "_attempt", attempt)
    with pytest.raises(PermissionError):
        await _reach._race(addresses(errno.EPERM, errno.EMFILE, errno.EACCES))


async def test_those_who_ask_for_the_same_name_at_once_ask_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = sockets.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **named: Any) -> Any:
        if not named.get("flags"):
            asked.append(host)
        return real("127.0.0.1" if host == "a.example" and not named.get("flags") else host, *rest, **named)

    monkeypatch.setattr("siox._reach.sockets.getaddrinfo", getaddrinfo)
    target = Target(host="a.example", port=1, secure=False)
    results = await asyncio.gather(*(reach(target, None, None) for _ in range(5)), return_exceptions=True)
    assert {str(result) for result in results} == {
        "nothing listens on port 1 of a.example: is the server started?"
    }
    assert asked == ["a.example"]


async def test_a_name_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreachableError, match="there is no address for host"):
        await reach(Target(host="x" * 70 + ".example", port=1, secure=False), None, None)
