"""`python -m siox.cli`: the command `siox`."""

from siox.cli import main

main(prog_name="siox")
