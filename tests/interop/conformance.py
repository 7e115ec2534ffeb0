"""Run the official protocol suites of socketio/socket.io against the example apps of this folder.

    make conformance SUITES=folder

The folder holds `v4-test-suite` (docs/engine.io-protocol) and `v5-test-suite` (docs/socket.io-protocol),
at any depth. Both run on every driver: the own listener, the same with `io_threads=2`, and `io.asgi` under
uvicorn, by messages and with its sockets given to siox. They want port 3000.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PORT = 3000
SUITES = {
    "Engine.IO protocol 4": ("v4-test-suite", "engine_io_app.py", 25),
    "Socket.IO protocol 5": ("v5-test-suite", "socket_io_app.py", 32),
}
DRIVERS = ("own", "threads", "asgi", "adopted")


def main() -> int:
    """Run everything; the exit code says whether all passed."""
    if len(sys.argv) != 2 or not sys.argv[1] or not Path(sys.argv[1]).is_dir():
        print("usage: make conformance SUITES=folder that holds v4-test-suite and v5-test-suite")
        return 2
    lines = []
    good = True
    for title, (name, app, expected) in SUITES.items():
        suite = next(iter(sorted(Path(sys.argv[1]).rglob(f"{name}/test-suite.js"))), None)
        if suite is None:
            print(f"{name}/test-suite.js is not below {sys.argv[1]}")
            return 2
        if not (suite.parent / "node_modules").exists():
            subprocess.run(
                ["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=suite.parent, check=True
            )
        for driver in DRIVERS:
            print(f"\n== {title}, {driver}", flush=True)
            passed, failed, code = run(suite.parent, HERE / app, driver)
            good = good and code == 0 and failed == 0 and passed == expected
            lines.append(f"{title}, {driver}: {passed} of {expected} passed, {failed} failed")
    print("\n" + "\n".join(lines))
    return 0 if good else 1


def run(suite: Path, app: Path, driver: str) -> tuple[int, int, int]:
    """Start the app, run the suite, and count what passed and what failed."""
    with subprocess.Popen([sys.executable, str(app), driver]) as server:
        try:
            wait_for_port(server)
            mocha = subprocess.run(
                ["node", "node_modules/mocha/bin/mocha", "test-suite.js"],
                cwd=suite,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=180,
                check=False,
            )
        finally:
            server.terminate()
    print(mocha.stdout)
    return count(mocha.stdout, "passing"), count(mocha.stdout, "failing"), mocha.returncode


def count(output: str, word: str) -> int:
    """Read a line such as `25 passing (4s)`."""
    found = re.search(rf"(\d+) {word}", output)
    return int(found.group(1)) if found else 0


def wait_for_port(server: subprocess.Popen[bytes]) -> None:
    """Wait until the app listens."""
    for _ in range(200):
        if server.poll() is not None:
            raise SystemExit(f"the app ended with {server.returncode}")
        try:
            socket.create_connection(("127.0.0.1", PORT), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing listens on port {PORT}")


if __name__ == "__main__":
    sys.exit(main())
