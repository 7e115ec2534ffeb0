"""A server and its clients in memory, on a virtual clock: for tests, of applications and of siox itself.

```python
import siox.testing
from app import io


async def test_a_message_reaches_the_others_in_the_room():
    async with siox.testing.connect(io) as ada, siox.testing.connect(io, auth={"name": "Bob"}) as bob:
        await ada.emit_with_ack("join", "lobby")
        await bob.emit_with_ack("join", "lobby")
        bob.emit("say", "hello")
        assert await ada.wait_for("said") == ("Bob", "hello")
```

No port is opened and nothing sleeps: what siox itself waits for (pings, timeouts of acknowledgements, of
upgrades and of connections without a namespace) happens when `await peer.advance(seconds)` says so. The
application's own `asyncio.sleep` and `asyncio.timeout` keep the real time, as do the `timeout=` of
`Socket.wait_for` and of `Server.close`.

The server must not be listening meanwhile; it starts afresh, with its handlers, when the first client
connects, and stops when the last has gone. pytest users find a fixture in `siox.testing.fixtures`. What
a broken or hostile client does is written with `wire`.
"""

from siox.testing.peer import Peer, Received, connect
from siox.testing.wire import Exchange, RawWebSocket, Response, Wire, wire

__all__ = ["Exchange", "Peer", "RawWebSocket", "Received", "Response", "Wire", "connect", "wire"]
