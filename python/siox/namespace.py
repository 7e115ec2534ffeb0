"""The asyncio server's namespaces, and classes of handlers for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siox._namespace import BaseHandlers, BaseNamespace, BaseParentNamespace
from siox._namespace import event as event
from siox.broadcast import BroadcastOperator, Broadcasts

if TYPE_CHECKING:
    from siox.server import Server
    from siox.socket import Socket  # noqa: F401 - named below
    from siox.types import MiddlewareT


class Namespace(BaseNamespace[BroadcastOperator, "Socket"], Broadcasts[BroadcastOperator, "Socket"]):
    """Sockets that joined the same name, and what is done with their events.

    Attributes:
        name: begins with a slash.
        server: the server it belongs to.
    """

    __slots__ = ()

    _operators = BroadcastOperator
    server: Server

    def use(self, middleware: MiddlewareT) -> MiddlewareT:
        """Run a function, plain or async, for each socket before it is admitted.

        It takes the socket, returns to admit it and raises `RefusedError` to refuse it; with any other
        exception the client is refused with "Internal error", and the log has the traceback.

        Raises:
            UsageError: it does not take one argument.
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
    """Handlers as the methods of a class; register it with `io.register(Chat)` or `io.of(…).register(Chat)`.

    ```python
    class Chat(siox.Handlers):
        @siox.event("update item")
        async def update_item(self, socket, item_id, item): ...
    ```

    Attributes:
        namespace: where it is registered.
    """

    namespace: Namespace
