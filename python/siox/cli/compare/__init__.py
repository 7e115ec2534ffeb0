"""`siox bench --compare`: an application on python-socketio beside the same one on siox."""

from siox.cli.compare.command import bench

__all__ = ["bench"]
