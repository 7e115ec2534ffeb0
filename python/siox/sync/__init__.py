"""The blocking client: the words of `siox`, where what is awaited there waits here.

```python
import siox.sync

with siox.sync.connect("http://localhost:3000", wait=5) as socket:
    @socket.on("hello")
    def hello(name): print(name)

    print(socket.emit_with_ack("update item", "1", {"name": "updated"}))
    socket.wait()
```

All clients of a process live on one event loop, in one thread in the background. The handlers of a socket
are plain functions; they run one after the other, on a thread of their own, so they may wait for whatever
they like. Ctrl-C ends any wait of the main thread at once, and the end of the program waits for no client
longer than a second.
"""

from siox.sync.client import ClientSocket, ClientSocketOperator, EventStream, connect
from siox.sync.manager import Manager

__all__ = ["ClientSocket", "ClientSocketOperator", "EventStream", "Manager", "connect"]
