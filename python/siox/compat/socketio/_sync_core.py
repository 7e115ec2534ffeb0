"""The siox server below a blocking server of python-socketio."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from siox import sync
from siox._strand import Pool
from siox.compat.socketio._core import PATH, Core
from siox.compat.socketio._options import config_of
from siox.config import SyncServerConfig

if TYPE_CHECKING:
    from siox.compat.socketio._sync_bridge import SyncBridge


class SyncCore(Core, sync.Server):
    """See the module. Its loop is in the background; handlers run where the bridge has them run."""

    __slots__ = ("_bridge",)

    def __init__(self, bridge: SyncBridge, added: dict[str, Any]) -> None:
        self._bridge = bridge
        plain = config_of(added, path=PATH)
        config = SyncServerConfig(**{each.name: getattr(plain, each.name) for each in fields(plain)})
        self._pool = Pool(config.max_threads)
        self._set_up(config)
