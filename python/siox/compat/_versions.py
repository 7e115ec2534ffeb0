"""Which releases of python-socketio siox stands in for."""

from __future__ import annotations

import re
import warnings
from importlib import metadata

OLDEST, NEWEST = (5, 13), (5, 18)
"""The first release whose names and tests were tried, and the newest; both are inside."""
HOW = "pip install 'siox[socketio]'"


def check() -> None:
    """Look whether python-socketio is there, and one that was tried.

    Raises:
        ImportError: it is missing, or too old.
    """
    try:
        version = metadata.version("python-socketio")
    except metadata.PackageNotFoundError:
        raise ImportError(
            f"siox.compat.socketio stands on python-socketio, which is not installed: {HOW}"
        ) from None
    release = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if release < OLDEST:
        raise ImportError(
            f"python-socketio {version} is older than siox knows, which is from {_written(OLDEST)} on:"
            f" {HOW} --upgrade"
        )
    if release > NEWEST:
        warnings.warn(
            f"python-socketio {version} is newer than siox was tried with, up to {_written(NEWEST)};"
            " should something fail, a newer siox or an older python-socketio may help",
            RuntimeWarning,
            stacklevel=2,
        )


def _written(release: tuple[int, ...]) -> str:
    return ".".join(map(str, release))
