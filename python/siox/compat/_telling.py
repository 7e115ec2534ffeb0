"""What an operator is told once: by the log where there is one, and on stderr where nobody has set one up."""

from __future__ import annotations

import logging
import sys

log = logging.getLogger("siox")


def tell(sentence: str) -> None:
    """Say what is worth a line in every program, also under servers that set up their own log only."""
    if log.hasHandlers():
        log.info(sentence)
    else:
        print(sentence, file=sys.stderr)
