"""Runs inside the peers' suites: puts siox in the place of `socketio`, and notes what becomes of each test.

`SUITE_PEER` says whose Socket.IO the suite meets, `SUITE_RESULTS` names the file that takes each test's
outcome, a line of JSON each.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

# What python-socketio would choose by itself where it is installed: the suites are made for threads and h11.
for absent in ("gevent", "eventlet", "httptools"):
    sys.modules[absent] = None  # type: ignore[assignment]

if os.environ["SUITE_PEER"] == "siox":
    import siox

    siox.install()

outcomes: dict[str, str] = {}


def bare(nodeid: str) -> str:
    """A test's name without its parameters."""
    return nodeid.split("[")[0]


def pytest_configure() -> None:
    """A server of the suite does not wait for clients that its tests have forgotten."""
    import uvicorn

    begin = uvicorn.Config.__init__

    def impatient(self: uvicorn.Config, *args: object, **options: object) -> None:
        begin(self, *args, **{"timeout_graceful_shutdown": 1, "log_level": "error", **options})  # type: ignore[arg-type]

    uvicorn.Config.__init__ = impatient  # type: ignore[method-assign, assignment]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One failure of any parameter, in any phase, is the test's."""
    name = bare(report.nodeid)
    if report.failed or (report.when == "call" and outcomes.get(name) != "failed"):
        outcomes[name] = report.outcome
    if report.when == "teardown":
        with Path(os.environ["SUITE_RESULTS"]).open("a") as results:
            results.write(json.dumps([name, outcomes.get(name, "skipped")]) + "\n")
