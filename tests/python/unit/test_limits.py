"""Numbers that both halves name are the same in both: src/proto/limits.rs is where they are decided."""

import re
from pathlib import Path

from siox import _listeners, config
from siox.config import ServerConfig

LIMITS = Path(__file__).parents[3] / "src" / "proto" / "limits.rs"


def limits() -> dict[str, float]:
    """Read the constants: plain numbers and products as they are, durations in seconds."""
    found = {}
    constant = r"pub const (\w+): \w+ = (?:Duration::from_(secs|millis)\()?([\d_]+(?: \* [\d_]+)*)\)?;"
    for name, unit, number in re.findall(constant, LIMITS.read_text()):
        value = 1.0
        for factor in number.split(" * "):
            value *= int(factor)
        found[name] = value / 1000 if unit == "millis" else value
    return found


def test_the_defaults_of_the_options_are_those_of_the_core() -> None:
    core, given = limits(), ServerConfig()
    for option in (
        "ping_interval",
        "ping_timeout",
        "max_http_buffer_size",
        "connect_timeout",
        "upgrade_timeout",
        "max_attachments",
        "max_running_handlers",
        "max_queued_bytes",
        "outbox_limit",
    ):
        assert getattr(given, option) == core[option.upper()], option
    assert given.low_water == core["OUTBOX_LOW_WATER"]
    assert given.high_water == core["OUTBOX_HIGH_WATER"]


def test_the_limits_of_the_python_half_are_those_of_the_core() -> None:
    core = limits()
    assert core["MAX_PARKED_EVENTS"] == _listeners.MAX_PARKED_EVENTS
    assert core["MAX_PARKED_BYTES"] == _listeners.MAX_PARKED_BYTES
    assert core["MAX_PING_OPTION"] == config.MAX_PING_OPTION
