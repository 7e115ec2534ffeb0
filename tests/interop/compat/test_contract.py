"""One application on python-socketio and on siox: clients and handlers observe the same, in every async mode.

Each mode with some of its clients and paths; all of them by `python tests/interop/compat/contract.py`.
"""

from __future__ import annotations

import gc

import pytest
from contract import compare

pytestmark = [
    pytest.mark.node,
    pytest.mark.timeout(120),
    # python-socketio's client leaves connections to the garbage collector when it is refused.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
BRIEF = {
    "uvicorn": [("js", "upgrade"), ("python", "websocket")],
    "hypercorn": [("js", "upgrade")],
    "aiohttp": [("python", "upgrade")],
    "sanic": [("python", "websocket")],
    "tornado": [("js", "polling")],
    "werkzeug": [("js", "websocket")],
    "gthread": [("js", "polling")],
    "gevent": [("python", "polling")],
}


@pytest.mark.parametrize("mode", BRIEF)
async def test_the_transcript_is_the_same(mode: str) -> None:
    found = await compare(mode, BRIEF[mode])
    gc.collect()
    assert found == []


@pytest.mark.parametrize(
    ("mode", "pair"), [("uvicorn", ("js", "websocket")), ("gevent", ("python", "websocket"))]
)
async def test_the_transcript_is_the_same_with_a_hook_in_the_application(
    mode: str, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACT_HOOK", "1")
    found = await compare(mode, [pair])
    gc.collect()
    assert found == []
