"""The command `siox`."""

import os
import sys

import click

from siox.cli.compare import bench
from siox.cli.connect import connect
from siox.cli.demo import demo
from siox.cli.doctor import doctor
from siox.cli.emit import emit
from siox.cli.run import run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Socket.IO for Python with a Rust core."""
    _open_missing_streams()


def _open_missing_streams() -> None:
    """Where a program is begun with a standard stream closed, as by `>&-`, Python has None for it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


main.add_command(bench)
main.add_command(connect)
main.add_command(demo)
main.add_command(doctor)
main.add_command(emit)
main.add_command(run)

__all__ = ["main"]
