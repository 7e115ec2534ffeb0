"""python-socketio's names, with its servers, managers and applications over siox.

```python
import siox.compat.socketio as socketio
```
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any

from siox.compat._versions import check

check()

import socketio as _original  # noqa: E402

# All of it now: once this package stands in its place, `import socketio.x` gives something else.
import socketio.admin  # noqa: E402
import socketio.async_admin  # noqa: E402
import socketio.async_aiopika_manager  # noqa: E402
import socketio.base_client  # noqa: E402
import socketio.base_manager  # noqa: E402
import socketio.base_namespace  # noqa: E402
import socketio.base_server  # noqa: E402
import socketio.exceptions  # noqa: E402
import socketio.packet  # noqa: E402
import socketio.pubsub_manager  # noqa: E402
from socketio import *  # noqa: E402, F403

from siox.compat.socketio._asgi import ASGIApp  # noqa: E402
from siox.compat.socketio._async_server import AsyncServer  # noqa: E402
from siox.compat.socketio._managers import (  # noqa: E402
    AsyncAioPikaManager,
    AsyncManager,
    AsyncPubSubManager,
    AsyncRedisManager,
)

__all__ = list(_original.__all__)

_REPLACED: dict[str, Any] = {
    "AsyncServer": AsyncServer,
    "AsyncManager": AsyncManager,
    "AsyncPubSubManager": AsyncPubSubManager,
    "AsyncRedisManager": AsyncRedisManager,
    "AsyncAioPikaManager": AsyncAioPikaManager,
    "ASGIApp": ASGIApp,
}


def _take_sync() -> None:
    """The blocking half."""
    names = [f"{__name__}.{name}" for name in ("_server", "_sync_managers", "_wsgi")]
    modules = [importlib.import_module(name) for name in names if importlib.util.find_spec(name)]
    for module in modules:
        for name, value in vars(module).items():
            if hasattr(value, "__mro__") and value.__module__ == module.__name__ and not name.startswith("_"):
                original = getattr(_original, name, None) or _of_pubsub(name)
                if original is not None:
                    _REPLACED[name] = value
                    globals()[name] = value


def _of_pubsub(name: str) -> Any:
    return getattr(_original.pubsub_manager, name, None)


def _facades() -> None:
    """Make `siox.compat.socketio.x` of each `socketio.x`: the same module, or one with our classes in it."""
    prefix = _original.__name__ + "."
    for name, module in list(sys.modules.items()):
        if not name.startswith(prefix) or module is None:
            continue
        short = name.removeprefix(prefix)
        ours = {
            each: _REPLACED[each]
            for each, value in vars(module).items()
            if each in _REPLACED and getattr(value, "__module__", "").startswith(prefix)
        }
        facade = module
        if ours:
            facade = types.ModuleType(f"{__name__}.{short}", module.__doc__)
            vars(facade).update({**vars(module), "__name__": f"{__name__}.{short}", **ours})
        sys.modules[f"{__name__}.{short}"] = facade
        globals()[short] = facade


_take_sync()
_facades()
