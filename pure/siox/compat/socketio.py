"""Python-socketio under siox's name, since there is no core to put beneath it."""

import importlib
import sys

from siox.compat._versions import check

check()

importlib.import_module("socketio")
for _name, _module in list(sys.modules.items()):
    if _name == "socketio" or _name.startswith("socketio."):
        sys.modules[f"siox.compat.{_name}"] = _module
