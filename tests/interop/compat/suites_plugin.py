"""Runs inside the peers' suites: puts siox in the place of `socketio`, and notes what becomes of each test.

`SUITE_PEER` says whose Socket.IO the suite meets, `SUITE_RESULTS` names the file that takes each test's
outcome, and whether siox drove a server that the test made: a line of JSON each.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

# What python-socketio would choose by itself where it is installed: the suites are made for threads and h11.
for absent in ("gevent", "eventlet", "httptools"):
    sys.modules[absent] = None  # type: ignore[assignment]

if os.environ["SUITE_PEER"] == "siox":
    import siox

    siox.install()

outcomes: dict[str, str] = {}
driven: set[str] = set()
"""Tests that made a server which siox drives."""


def bare(nodeid: str) -> str:
    """A test's name without its parameters."""
    return nodeid.split("[")[0]


def pytest_configure() -> None:
    """Note servers that are made, and have them not wait for clients that the tests have forgotten."""
    if os.environ["SUITE_PEER"] == "siox":
        note_servers()
    import uvicorn

    begin = uvicorn.Config.__init__

    def impatient(self: uvicorn.Config, *args: object, **options: object) -> None:
        begin(self, *args, **{"timeout_graceful_shutdown": 1, "log_level": "error", **options})  # type: ignore[arg-type]

    uvicorn.Config.__init__ = impatient  # type: ignore[method-assign, assignment]


def note_servers() -> None:
    """Note the test that makes a server, if siox drives that one."""
    from siox.compat.socketio._served import Served

    begin = Served.__init__

    def noted(self: Served, bridge: Any, options: dict[str, Any]) -> None:
        begin(self, bridge, options)
        if not bridge.foreign:
            driven.add(bare(os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]))

    Served.__init__ = noted  # type: ignore[method-assign]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One failure of any parameter, in any phase, is the test's."""
    name = bare(report.nodeid)
    if report.failed or (report.when == "call" and outcomes.get(name) != "failed"):
        outcomes[name] = report.outcome
    if report.when == "teardown":
        with Path(os.environ["SUITE_RESULTS"]).open("a") as results:
            results.write(json.dumps([name, outcomes.get(name, "skipped"), name in driven]) + "\n")
