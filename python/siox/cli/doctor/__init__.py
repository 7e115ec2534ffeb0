"""`siox doctor`: what siox will do for an application of python-socketio's."""

from siox.cli.doctor.command import doctor

__all__ = ["doctor"]
