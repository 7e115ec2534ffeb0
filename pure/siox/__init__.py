"""siox without its Rust core: python-socketio stands in for `siox.compat.socketio`, the rest is missing."""

import warnings

from siox.compat import install, uninstall

MISSING = (
    "siox is here without its Rust core, since there is no binary wheel for this platform or Python:"
    " its servers and clients are missing, and siox.compat.socketio is python-socketio itself;"
    " with Rust installed, `pip install --no-binary siox siox` builds it"
)
warnings.warn(MISSING, RuntimeWarning, stacklevel=2)

__all__ = ["install", "uninstall"]


def __getattr__(name: str) -> object:
    if name.startswith("_"):
        raise AttributeError(name)
    raise ImportError(f"siox.{name}: {MISSING}")
