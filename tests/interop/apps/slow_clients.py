"""Fast clients and slow ones in one process, for test_slow_readers.py.

Arguments: port, fast clients, clients that read nothing, clients that read 10 KB a second. It says when all
have joined; tells the server when all fast ones have a burst; and at the first line of standard input it
reads all that there is for the slow ones too, and reports what each kind got.
"""

import json
import re
import select
import socket as sockets
import sys
import time
from bisect import bisect_right

PORT, FAST, DEAD, SLOW = map(int, sys.argv[1:5])
OPENING = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
FRAME = len('42["n",1000000,""]') + 1000 + 4
"""Bytes of each broadcast: its header has four."""
EVENT = re.compile(rb'42\["([bnvle])",(\d{7}),')
SIP, SIPS = 1000, 10
"""A slow client reads so many bytes, so often a second."""


def frame(text: str) -> bytes:
    """A short message, its mask zero."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()


class Seen:
    """What came to a client."""

    def __init__(self) -> None:
        self.kinds: dict[str, int] = {}
        self.newest: dict[int, int] = {}
        self.last = self.missed = self.disordered = 0

    def add(self, data: bytes) -> None:
        """Look at every event of whole frames."""
        events = EVENT.findall(data)
        assert len(events) * FRAME == len(data), data[:200]
        for letter, digits in events:
            kind, number = letter.decode(), int(digits)
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            self.missed += number - self.last - 1 if self.last else 0
            self.disordered += number <= self.last
            self.last = number
            if kind == "l":
                self.newest[number % 100] = number


class Log:
    """All that the room was told: who gets just that is compared with it, which is quicker than to look."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.bursts: list[int] = []
        """Where each ends."""
        self.seen: dict[int, Seen] = {}

    def goes_on(self, at: int, part: bytes) -> bool:
        """Whether this is what comes there; what nobody had before is."""
        known = len(self.data) - at
        if not self.data.startswith(part[:known], at):
            return False
        begun = len(self.data) // FRAME * FRAME
        self.data += part[known:]
        for end in range(begun + FRAME, len(self.data) + 1, FRAME):
            if self.data.startswith(b'42["b"', end - FRAME + 4):
                self.bursts.append(end)
        return True

    def seen_until(self, at: int) -> Seen:
        """What somebody has seen who is there."""
        if at not in self.seen:
            self.seen[at] = Seen()
            self.seen[at].add(bytes(self.data[: at // FRAME * FRAME]))
        return self.seen[at]


log = Log()


class Client:
    """One websocket."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.socket = sockets.socket()
        if kind != "fast":
            self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", PORT))
        self.at = 0
        """Its place in the log, while it gets what is there."""
        self.own: Seen | None = None
        """What it saw, when it got something else."""
        self.tail = b""
        self.ended = self.closed = False
        self.read_until(OPENING, b'0{"sid"')
        self.read_until(frame("40"), b'40{"sid"')

    def read_until(self, sent: bytes, wanted: bytes) -> None:
        """Send something and read to the end of the answer."""
        self.socket.sendall(sent)
        answer = b""
        while wanted not in answer or not answer.endswith((b"}", b"]")):
            answer += self.socket.recv(4096)

    def join(self) -> None:
        """Ask to hear the broadcasts."""
        self.read_until(frame('421["join"]'), b"431[1]")
        self.socket.setblocking(False)

    def read(self, most: int) -> None:
        """Read what is there."""
        try:
            part = self.socket.recv(most)
        except BlockingIOError:
            return
        except ConnectionError:
            part = b""
        self.closed = not part
        if self.own is None and log.goes_on(self.at, part):
            self.at += len(part)
            last = self.at - FRAME + 4
            self.ended = self.at % FRAME == 0 and log.data.startswith(b'42["e"', last)
            return
        if self.own is None:
            self.own = Seen()
            part = bytes(log.data[: self.at]) + part
        data = self.tail + part
        whole = len(data) // FRAME * FRAME
        self.own.add(data[:whole])
        self.tail = data[whole:]
        self.ended = "e" in self.own.kinds

    @property
    def bursts(self) -> int:
        """How many it has to their end."""
        return bisect_right(log.bursts, self.at) if self.own is None else self.own.kinds.get("b", 0)

    @property
    def seen(self) -> Seen:
        """What it got."""
        return log.seen_until(self.at) if self.own is None else self.own


def report(clients: list[Client]) -> dict[str, object]:
    """What the clients of one kind got."""
    kinds: dict[str, int] = {}
    for client in clients:
        for kind, count in client.seen.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + count
    return {
        "clients": len(clients),
        "received": sum(kinds.values()),
        "kinds": kinds,
        "least_bursts": min((client.bursts for client in clients), default=0),
        "missed": sum(client.seen.missed for client in clients),
        "disordered": sum(client.seen.disordered for client in clients),
        "ended": sum(client.ended for client in clients),
        "closed": sum(client.closed for client in clients),
        "newest": sorted({tuple(sorted(client.seen.newest.values())) for client in clients if client.ended}),
    }


def main() -> None:
    """Connect all, read as each kind does, report."""
    control = Client("control")
    fast = [Client("fast") for _ in range(FAST)]
    dead = [Client("dead") for _ in range(DEAD)]
    slow = [Client("slow") for _ in range(SLOW)]
    for client in fast + dead + slow:
        client.join()
    poller = select.epoll()
    by_fd = {client.socket.fileno(): client for client in fast}
    for fd in by_fd:
        poller.register(fd, select.EPOLLIN)
    poller.register(sys.stdin.fileno(), select.EPOLLIN)
    print(json.dumps({"ready": True}), flush=True)
    waking = False
    confirmed, next_sip, turn = 0, 0.0, 0
    while not waking or not all(client.ended or client.closed for client in by_fd.values()):
        for fd, _ in poller.poll(0.02):
            if fd == sys.stdin.fileno():
                waking = True
                poller.unregister(fd)
                for client in dead + slow:
                    by_fd[client.socket.fileno()] = client
                    poller.register(client.socket.fileno(), select.EPOLLIN)
            else:
                by_fd[fd].read(1 << 18)
                if by_fd[fd].closed:
                    poller.unregister(fd)
        least = min(client.bursts for client in fast)
        if least > confirmed:
            confirmed = least
            control.socket.sendall(frame('42["got"]'))
        if slow and not waking and time.monotonic() >= next_sip:
            # A tenth of them at a time.
            turn, next_sip = turn + 1, time.monotonic() + 1 / SIPS / 10
            for client in slow[turn % 10 :: 10]:
                if not client.closed:
                    client.read(SIP)
    print(json.dumps({"fast": report(fast), "dead": report(dead), "slow": report(slow)}), flush=True)
    sys.stdin.read()  # the connections stay until the test ends this process


main()
