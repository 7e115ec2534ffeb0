"""siox under other libraries' names.

`import siox.compat.socketio as socketio` in a program of one's own; `siox.install()`, SIOX_COMPAT=1 or
`python -m siox.compat program.py` where libraries import `socketio` themselves. docs/drop-in.md
"""

from siox.compat._install import install, uninstall

__all__ = ["install", "uninstall"]
