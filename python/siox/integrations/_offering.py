"""Has uvicorn give its sockets without being told to, for programs that only change an import.

uvicorn reads `Config.ws_protocol_class` for each connection. What is put in that attribute's place answers
with the class that gives, so that settings may be loaded before the application, as uvicorn's command does.
"""

from __future__ import annotations

import sys
from typing import Any

ATTRIBUTE = "ws_protocol_class"


def have_uvicorn_give() -> None:
    """See the module. Where uvicorn is imported later, it has to be called again."""
    config = sys.modules.get("uvicorn.config")
    if config is not None and not isinstance(vars(config.Config).get(ATTRIBUTE), _Giving):
        setattr(config.Config, ATTRIBUTE, _Giving())


class _Giving:
    """The attribute: a class that was chosen by uvicorn's name for it gives its sockets.

    A class of the program's own stays, and so does "none".
    """

    def __get__(self, config: Any, owner: type) -> Any:
        if config is None:
            return self
        try:
            chosen = vars(config)[ATTRIBUTE]
        except KeyError:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {ATTRIBUTE!r}") from None
        if not isinstance(config.ws, str) or not str(getattr(chosen, "__module__", "")).startswith(
            "uvicorn."
        ):
            return chosen
        from siox.integrations.uvicorn import Protocol

        return Protocol if Protocol.__module__.startswith("siox.") else chosen

    def __set__(self, config: Any, chosen: Any) -> None:
        vars(config)[ATTRIBUTE] = chosen
