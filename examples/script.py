"""The blocking client in a script: connect, ask, print, end. No asyncio, no callbacks.

python examples/script.py DEVICE [URL]
"""

import sys

import siox
import siox.sync


def main(device: str, url: str = "http://localhost:3000") -> int:
    """Print what the station knows of a device."""
    try:
        with siox.sync.connect(url, wait=5) as socket:
            answer = socket.timeout(5).emit_with_ack("summary", device)
    except siox.ConnectError as error:
        print(f"cannot connect: {error.message}", file=sys.stderr)
        return 1
    if "error" in answer:
        print(answer["error"]["message"], file=sys.stderr)
        return 1
    print(f"{device}: {answer['count']} readings, {answer['least']} to {answer['most']} °C")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:3]))
