"""`python -m siox.compat script.py arguments`, or `-m module arguments`: a program's `socketio` is siox's.

It begins anew in the same process: by now siox has imported much, and a program may want to be the first, as
one that has gevent patch modules does.
"""

from __future__ import annotations

import os
import sys


def command(given: list[str], arguments: list[str]) -> list[str]:
    """Return the command line that runs the program.

    Args:
        given: that of this process, with the options of Python before `-m`.
        arguments: those of the program.
    """
    *options, last = given[1 : len(given) - len(arguments)]
    # `-m siox.compat`, or written as one word; other letters may stand before the m.
    last = options.pop() if last == "siox.compat" else last.removesuffix("siox.compat")
    if (letters := last.removesuffix("m")) != "-":
        options.append(letters)
    return [sys.executable, *options, "-m", "_siox_compat", *arguments]


def main() -> None:
    """Run the program."""
    line = command(sys.orig_argv, sys.argv[1:])
    sys.stdout.flush()
    os.execv(line[0], line)


if __name__ == "__main__":
    main()
