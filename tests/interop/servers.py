"""Servers for the client's tests: one small application on Node's socket.io, on python-socketio and on siox.

Each runs in a process of its own, so it can be killed and started again, and does the same with these events:

| event | what it does |
| --- | --- |
| (connecting) | emits `welcome` with the auth value and the transport's name |
| `echo`, values | emits `echo` with the values |
| `answer`, values | acknowledges with the values |
| `ask`, values | asks by `question` with the values, and emits the acknowledgement as `answered` |
| `slow`, seconds | acknowledges "late", so many seconds later |
| `silent` | never acknowledges |
| `note`, who, number | remembers it for `Process.heard(who)`, and acknowledges with it |
| `burst`, count | emits `n` with 0, 1, 2 ... |
| `transport`, `request` | acknowledge with the transport's name; with headers and query of the handshake |
| `join`, room | puts the socket into a room, for `Process.emit` |
| `leave`, close | disconnects the socket, or the whole connection |

All of it in `/`, in `/chat`, and in `/private`, which wants `{"token": "t"}` and else refuses with the
message "no token" and the data `{"code": 401}`. There is no other namespace.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from peers import HERE, NODE, PATIENCE

COMMANDS: dict[str, tuple[str, ...]] = {
    "node": (str(NODE), str(HERE / "js" / "server.mjs")),
    "python-socketio": (sys.executable, str(HERE / "apps" / "contract_python_socketio.py")),
    "siox": (sys.executable, str(HERE / "apps" / "contract_siox.py")),
}
WAYS = ("listen", "gthread", "gevent", "werkzeug", "pywsgi")
"""Ways to `siox.sync.Server`: its own listener, gunicorn's workers, and other WSGI servers."""
RARE_WAYS = ("sync", "gevent_pywsgi")
"""More of gunicorn's workers."""
WSGI: dict[str, tuple[str, ...]] = {
    way: (sys.executable, str(HERE / "apps" / "contract_wsgi.py"), way) for way in (*WAYS, *RARE_WAYS)
}
START_PATIENCE = 20.0
"""Seconds until a server must listen, on a machine that does much else."""


class Process:
    """One server.

    Attributes:
        kind: a key of `COMMANDS` or `WSGI`.
        options: what it is started with: transports, upgrade, ping_interval, ping_timeout (seconds),
            max_http_buffer_size, path, parser ("msgpack"), recovery, cookie, uds, and tls: files
            key, cert, and ca where the client must show a certificate.
        port: where it listens; the same after `restart`.
    """

    def __init__(self, kind: str, **options: Any) -> None:
        self.kind, self.options = kind, options
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._last = 0

    def __enter__(self) -> Process:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Its address, without a namespace."""
        scheme = "https" if self.options.get("tls") else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, on the port that it had before, and wait until it listens."""
        assert self._process is None
        options = json.dumps({**self.options, "port": self.port})
        # Coverage would slow it down, and it is not what is tested.
        env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        self._process = subprocess.Popen(
            [*(COMMANDS | WSGI)[self.kind], options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**env, "NODE_NO_WARNINGS": "1"},
        )
        self._answers = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._process, self._answers), daemon=True).start()
        try:
            self.port = self._answer(START_PATIENCE)["port"] or 0
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End it without a word to anybody, as a power cut does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()

    def close(self) -> None:
        """Have it disconnect everybody, then end."""
        self.call("close")
        self.kill()

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self.start()

    def call(self, op: str, **parameters: Any) -> Any:
        """Have it do something besides its events; see the apps."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._last += 1
        self._process.stdin.write(json.dumps({"id": self._last, "op": op, **parameters}) + "\n")
        self._process.stdin.flush()
        answer = self._answer(PATIENCE)
        assert answer["id"] == self._last, answer
        return answer["value"]

    def emit(self, event: str, *values: Any, room: str | None = None, namespace: str = "/") -> None:
        """Have it emit to everybody, or to a room."""
        self.call("emit", event=event, args=values, room=room, namespace=namespace)

    def heard(self, who: str) -> Sequence[int]:
        """The numbers that `note` brought of somebody, in the order in which they came."""
        return [number for _, number in self.heard_by(who)]

    def heard_by(self, who: str) -> Sequence[tuple[str, int]]:
        """The same, each number with the id of the socket that brought it."""
        return [(socket, number) for socket, number in self.call("heard", who=who)]

    def clients(self) -> int:
        """How many are connected."""
        count: int = self.call("count")
        return count

    def _answer(self, patience: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=patience)
        except queue.Empty:
            raise AssertionError(f"the {self.kind} server does not answer") from None
        assert line, f"the {self.kind} server has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


def _read(process: subprocess.Popen[str], answers: queue.SimpleQueue[str]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            answers.put(line)
    answers.put("")


def certificates(folder: Path) -> dict[str, str]:
    """Make an authority and certificates of a server and of a client in a folder; gives their files."""
    import trustme

    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    client = authority.issue_cert("client@example.com")
    files = {name: str(folder / f"{name}.pem") for name in ("ca", "key", "cert", "client_key", "client_cert")}
    authority.cert_pem.write_to_path(files["ca"])
    for prefix, made in (("", server), ("client_", client)):
        made.private_key_pem.write_to_path(files[f"{prefix}key"])
        made.cert_chain_pems[0].write_to_path(files[f"{prefix}cert"])
    return files
