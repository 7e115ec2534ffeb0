"""Fixtures for pytest, with pytest-asyncio or anyio.

In `conftest.py`:

```python
pytest_plugins = ["siox.testing.fixtures"]
```

and in a test:

```python
async def test_hello(siox_connect):
    peer = await siox_connect(io, "/chat", auth={"token": "t"})
    assert await peer.wait_for("hello") == "world"
```

Clients that a test has connected are closed at its end, the last one first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import pytest

from siox.testing.peer import Peer, connect

if TYPE_CHECKING:
    from siox.server import Server

F = TypeVar("F", bound=Callable[..., Any])


def _fixture(function: F) -> F:
    made: Any
    try:
        import pytest_asyncio
    except ImportError:  # anyio runs pytest's own
        made = pytest.fixture(function)
    else:
        made = pytest_asyncio.fixture(function)
    return cast("F", made)


class Connect(Protocol):
    """What the fixture `siox_connect` gives: `siox.testing.connect`, to be awaited."""

    def __call__(self, server: Server, namespace: str = "/", **options: Any) -> Awaitable[Peer]:
        """Connect a client; the options are those of `siox.testing.connect`."""


@_fixture
async def siox_connect() -> AsyncIterator[Connect]:
    """Connect clients to a server in memory; see `siox.testing.connect`."""
    async with AsyncExitStack() as stack:

        async def connect_peer(server: Server, namespace: str = "/", **options: Any) -> Peer:
            return await stack.enter_async_context(connect(server, namespace, **options))

        yield connect_peer
