"""What holds for all tests: in CI nothing may be left out; elsewhere one line says what is, and why."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

CI = os.environ.get("CI", "").lower() in {"1", "true"}
INTEROP = Path(__file__).parent / "interop"
LEFT_OUT = pytest.StashKey[list[str]]()


def missing() -> dict[str, str]:
    """Markers whose tests cannot run here, with the reason."""
    found = {}
    if shutil.which("node") is None:
        found["node"] = found["browser"] = "Node.js is not installed"
    elif not (INTEROP / "node_modules" / "socket.io-client").exists():
        found["node"] = found["browser"] = "the npm packages are not installed (cd tests/interop && npm ci)"
    elif not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        found["browser"] = "Chromium is not installed"
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a program that is not here; CI has them all, and fails instead."""
    reasons = missing()
    here: list[pytest.Item] = []
    left_out: dict[str, list[pytest.Item]] = {}
    for item in items:
        reason = next((reasons[mark.name] for mark in item.iter_markers() if mark.name in reasons), None)
        (here if reason is None else left_out.setdefault(reason, [])).append(item)
    if not left_out:
        return
    lines = [f"{len(gone)} interop tests left out: {reason}" for reason, gone in left_out.items()]
    if CI:
        raise pytest.UsageError(f"CI=true, but {'; '.join(lines)}")
    items[:] = here
    config.hook.pytest_deselected(items=[item for gone in left_out.values() for item in gone])
    config.stash[LEFT_OUT] = lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line for each reason."""
    for line in config.stash.get(LEFT_OUT, []):
        terminalreporter.line(line, yellow=True)


class NothingLeftOut:
    """Fails the run when a test was skipped or expected to fail."""

    def __init__(self) -> None:
        self.reports: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skip or an xfail."""
        if report.skipped or hasattr(report, "wasxfail"):
            self.reports.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a whole module that was skipped."""
        if report.skipped:
            self.reports.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn what was left out into a failed run."""
        if self.reports and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why the run failed."""
        if self.reports:
            terminalreporter.section("CI=true: no test may be skipped or expected to fail", red=True)
            for nodeid in self.reports:
                terminalreporter.line(nodeid)


def pytest_configure(config: pytest.Config) -> None:
    """In CI, allow nothing to be left out."""
    if CI:
        config.pluginmanager.register(NothingLeftOut())
