"""What is public is written down here: nothing comes or goes unseen."""

import siox
import siox.sync

PUBLIC = """
    Ack AckTimeoutError BroadcastOperator ClientConfig ClientSocket ClientSocketOperator ConnectError Cors
    DisconnectedError EventError EventStream Handlers Handshake Headers LimitExceededError Listener Manager
    Namespace Outbox PacketDecodeError ParentNamespace ProtocolError RefusedError Server ServerConfig
    SioxError Socket SocketOperator UsageError connect event install uninstall
"""
PUBLIC_BLOCKING = """
    BroadcastOperator ClientSocket ClientSocketOperator EventStream Handlers Manager Namespace Outbox
    ParentNamespace Server Socket SocketOperator connect event
"""


def test_the_public_names_are_these() -> None:
    assert sorted(siox.__all__, key=str) == sorted(PUBLIC.split())
    assert sorted(siox.sync.__all__) == sorted(PUBLIC_BLOCKING.split())


def test_each_of_them_is_there_and_says_what_it_is() -> None:
    for module in (siox, siox.sync):
        for name in module.__all__:
            assert getattr(module, name).__doc__, name
