"""A server that collects readings of devices, and answers questions about them.

python examples/station.py [PORT]
"""

import sys
from typing import Any

import siox

io = siox.Server()
readings: dict[str, list[tuple[float, float]]] = {}


@io.event("reading")
def reading(socket: siox.Socket, device: str, at: float, degrees: float) -> None:
    """Keep it. A device sends a reading again when the answer to it was lost: the time tells."""
    known = readings.setdefault(device, [])
    if not known or at > known[-1][0]:
        known.append((at, degrees))
        print(f"{device}: {degrees} °C, number {len(known)}", flush=True)


@io.event("signal")
def signal(socket: siox.Socket, device: str, decibels: int) -> None:
    """How well the device hears us now; of no use later."""
    socket.data["signal"] = decibels


@io.event("summary")
def summary(socket: siox.Socket, device: str) -> dict[str, Any]:
    """What is known of a device; an error where nothing is."""
    if device not in readings:
        raise siox.EventError(f"there is no device {device!r}", {"known": sorted(readings)})
    degrees = [value for _, value in readings[device]]
    return {"count": len(degrees), "least": min(degrees), "most": max(degrees), "last": degrees[-1]}


if __name__ == "__main__":
    io.run(port=int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
