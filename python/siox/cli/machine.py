"""What the commands ask of the machine: open files, and which packages are there."""

from __future__ import annotations

from importlib import metadata

SPARE_FILES = 64
"""Descriptors that are no clients."""


def version_of(name: str) -> str | None:
    """Return a package's version, None where it is missing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
