"""The servers and clients that are measured: how each is started, and what must be built for it."""

import sys
from dataclasses import dataclass
from typing import Literal

from benches.run.places import NODE, PEERS, PEERS_PYTHON, binary

Needs = Literal["nothing", "cargo", "venv", "npm"]
SIOX_CLIENT, PYTHON_SOCKETIO_CLIENT = "siox-client", "python-socketio-client"
FLASK = ("flask-drop-in", "flask")
"""An application of Flask-SocketIO's under gunicorn's threads: on siox, and on python-socketio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One server, or one client.

    Attributes:
        name: in options and in results.
        label: in tables and charts.
        command: starts it, with `--port N` behind; a client gets the load's options too.
        needs: what builds it.
        package: its name for cargo, where cargo builds it.
    """

    name: str
    label: str
    command: tuple[str, ...]
    needs: Needs = "nothing"
    package: str = ""


def _siox(name: str, label: str, *options: str) -> Peer:
    return Peer(name=name, label=label, command=(sys.executable, str(PEERS / "siox_app.py"), *options))


def _python_socketio(server: str) -> Peer:
    script = str(PEERS / "python_socketio" / "serve.py")
    return Peer(
        name=server,
        label=f"python-socketio, {server}",
        command=(str(PEERS_PYTHON), script, "--server", server),
        needs="venv",
    )


def _drop_in(name: str, label: str, server: str) -> Peer:
    command = (sys.executable, str(PEERS / "drop_in.py"), "--server", server)
    return Peer(name=name, label=f"drop-in, {label}", command=command)


def _flask(name: str, label: str, python: str, *options: str, needs: Needs = "nothing") -> Peer:
    script = str(PEERS / "python_socketio" / "flask_app.py")
    return Peer(name=name, label=label, command=(python, script, *options), needs=needs)


def _bare(name: str, label: str, frames: int) -> Peer:
    command = (str(binary("bare")), "--frames-per-write", str(frames))
    return Peer(name=name, label=label, command=command, needs="cargo", package="bare")


def _client(name: str, label: str, python: str, script: str, needs: Needs = "nothing") -> Peer:
    return Peer(name=name, label=label, command=(python, str(PEERS / "clients" / script)), needs=needs)


_ALL = (
    _siox("siox", "siox"),
    _siox("siox-async", "siox, async def", "--handler", "async"),
    _siox("siox-closures", "siox, 10 closures a socket", "--closures", "10"),
    _siox("siox-adopted", "siox, uvicorn's sockets", "--server", "adopted"),
    _siox("siox-bytes", "siox, uvicorn's ASGI messages", "--server", "bytes"),
    Peer(name="asgi", label="bare loop of ASGI sends", command=(sys.executable, str(PEERS / "asgi_app.py"))),
    _bare("bare", "bare loop", 1),
    _bare("bare-16", "bare loop, 16 frames a write", 16),
    Peer(
        name="socketioxide",
        label="socketioxide (Rust)",
        command=(str(binary("socketioxide")),),
        needs="cargo",
        package="socketioxide-peer",
    ),
    Peer(name="node", label="Node socket.io", command=("node", str(NODE / "app.mjs")), needs="npm"),
    _python_socketio("uvicorn"),
    _python_socketio("aiohttp"),
    _python_socketio("granian"),
    _drop_in("drop-in", "own listener", "own"),
    _drop_in("drop-in-adopted", "uvicorn's sockets", "adopted"),
    _drop_in("drop-in-bytes", "uvicorn's ASGI messages", "bytes"),
    _flask(FLASK[0], "drop-in, Flask-SocketIO", sys.executable, "--drop-in"),
    _flask(FLASK[1], "Flask-SocketIO", str(PEERS_PYTHON), needs="venv"),
    _bare("feeder", "bare loop, 256 frames a write", 256),
    _client(SIOX_CLIENT, "siox's client", sys.executable, "siox_client.py"),
    _client(
        PYTHON_SOCKETIO_CLIENT,
        "python-socketio's AsyncClient",
        str(PEERS_PYTHON),
        "python_socketio_client.py",
        "venv",
    ),
    Peer(
        name="node-client",
        label="Node socket.io-client",
        command=("node", "--expose-gc", str(NODE / "client.mjs")),
        needs="npm",
    ),
)
PEER_OF = {peer.name: peer for peer in _ALL}
PYTHON_SOCKETIO = ("uvicorn", "aiohttp", "granian")
"""The servers of python-socketio, of which the best one counts."""
PYTHON_SOCKETIO_ASGI = ("uvicorn", "granian")
"""Those of them that speak ASGI."""
DROP_IN = ("drop-in", "drop-in-adopted", "drop-in-bytes")
"""The same application with siox's classes in the place of python-socketio's."""
