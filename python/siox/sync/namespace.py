"""The blocking server's namespaces, and classes of handlers for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siox._namespace import BaseHandlers, BaseNamespace, BaseParentNamespace
from siox.sync.broadcast import BroadcastOperator, Broadcasts

if TYPE_CHECKING:
    from siox.sync.server import Server
    from siox.sync.socket import Socket  # noqa: F401 - named below
    from siox.types import SyncMiddlewareT


class Namespace(BaseNamespace[BroadcastOperator, "Socket"], Broadcasts[BroadcastOperator, "Socket"]):
    """What `siox.Namespace` is to asyncio, which see; what is awaited there waits here.

    Attributes:
        name: begins with a slash.
        server: the server it belongs to.
    """

    __slots__ = ()

    _operators = BroadcastOperator
    server: Server

    def use(self, middleware: SyncMiddlewareT) -> SyncMiddlewareT:
        """Run a function for each socket before it is admitted, on the thread of its handlers.

        It takes the socket, returns to admit it and raises `RefusedError` to refuse it; with any other
        exception the client is refused with "Internal error", and the log has the traceback.

        Raises:
            UsageError: it does not take one argument, or is a coroutine function.
        """
        self._use(middleware)
        return middleware


class ParentNamespace(BaseParentNamespace[BroadcastOperator, "Socket"], Namespace):
    """Stands for every namespace whose name a pattern or a function accepts.

    What is registered here is copied to the namespaces that are made for clients later.
    """

    __slots__ = ()

    @property
    def children(self) -> dict[str, Namespace]:
        """The namespaces that were made for clients, by name."""
        children: dict[str, Any] = self._children
        return dict(children)


class Handlers(BaseHandlers):
    """Handlers as the methods of a class, plain ones; register it with `io.register(Chat)`.

    ```python
    class Chat(siox.sync.Handlers):
        @siox.sync.event("update item")
        def update_item(self, socket, item_id, item): ...
    ```

    Attributes:
        namespace: where it is registered.
    """

    namespace: Namespace
