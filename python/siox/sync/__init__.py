"""The blocking client and server: the words of `siox`, where what is awaited there waits here.

```python
import siox.sync

with siox.sync.connect("http://localhost:3000", wait=5) as socket:
    @socket.on("hello")
    def hello(name): print(name)

    print(socket.emit_with_ack("update item", "1", {"name": "updated"}))
    socket.wait()
```

```python
io = siox.sync.Server()

@io.event("update item")
def update_item(socket, item_id, item):
    socket.broadcast.emit("updated", item_id)
    return {"status": "ok"}

io.run(port=3000)
```

All clients and servers of a process live on one event loop, in one thread in the background. The handlers
of a socket are plain functions; they run one after the other, on threads, so they may wait for whatever
they like. Ctrl-C ends any wait of the main thread at once, and the end of the program waits for no peer
longer than a second.
"""

from siox._namespace import event
from siox.sync._waiting import EventStream
from siox.sync.broadcast import BroadcastOperator
from siox.sync.client import ClientSocket, ClientSocketOperator, connect
from siox.sync.manager import Manager
from siox.sync.namespace import Handlers, Namespace, ParentNamespace
from siox.sync.server import Server
from siox.sync.socket import Outbox, Socket, SocketOperator

__all__ = [
    "BroadcastOperator",
    "ClientSocket",
    "ClientSocketOperator",
    "EventStream",
    "Handlers",
    "Manager",
    "Namespace",
    "Outbox",
    "ParentNamespace",
    "Server",
    "Socket",
    "SocketOperator",
    "connect",
    "event",
]
