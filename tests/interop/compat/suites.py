"""The suites of python-socketio and Flask-SocketIO, run on siox: taken from their source distributions.

    python tests/interop/compat/suites.py                   runs both and reports the share that passes
    python tests/interop/compat/suites.py --update          writes the list of those left out anew
    python tests/interop/compat/suites.py --peer python-socketio   the same of python-socketio itself

A test is left out if it fails and `suites_reasons` finds a reason why it may; `left_out.txt` names each. All
are run all the same, so that none stays on the list when it passes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands import free_port
from suites_reasons import reasons

HERE = Path(__file__).parent
LIST = HERE / "left_out.txt"
PATIENCE = 240
"""Seconds for a whole suite; one that hangs ends here, with the results so far."""
# A line for each failure: for more pytest parses sources, at which CPython 3.11 at times fails.
OPTIONS = (
    *("-p", "suites_plugin", "-p", "no:logging", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov"),
    *("-q", "--tb=line", "-c", os.devnull, "--rootdir", ".", "--timeout=10"),
    *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function", "-W", "ignore"),
)


@dataclass(frozen=True)
class Suite:
    """One distribution and what is run of it."""

    package: str
    tests: str


SUITES = {
    "python-socketio": Suite("python-socketio", "tests"),
    "flask-socketio": Suite("flask-socketio", "test_socketio.py"),
}


@dataclass
class Run:
    """What became of a suite.

    Attributes:
        outcomes: of each test that was run: "passed", "failed" or "skipped".
        reasons: of each test that there is: why it may be left out, or "".
        driven: tests that make a server which siox drives.
        output: what pytest printed.
    """

    outcomes: dict[str, str]
    reasons: dict[str, str]
    driven: set[str]
    output: str

    @property
    def failed(self) -> dict[str, str]:
        """Tests that did not pass, or did not come to an end, each with why it may fail, or ""."""
        good = {"passed", "skipped"}
        return {name: why for name, why in self.reasons.items() if self.outcomes.get(name) not in good}

    @property
    def passed(self) -> list[str]:
        """Tests that passed."""
        return sorted(name for name, outcome in self.outcomes.items() if outcome == "passed")

    def report(self) -> str:
        """The share kept, in a line."""
        kept, free = len(self.passed), [name for name, reason in self.reasons.items() if not reason]
        return (
            f"{kept} of {len(self.reasons)} pass ({kept / len(self.reasons):.1%}); "
            f"{len(free)} without a reason to be left out, {len(set(free) & set(self.passed))} of them pass; "
            f"{len(self.driven)} meet a server that siox drives, "
            f"{len(self.driven & set(self.passed))} of them pass"
        )


def fetch(suite: Suite, folder: Path) -> Path:
    """Get the source distribution of the installed release by pip, and unpack it; gives its folder."""
    release = f"{suite.package}=={version(suite.package)}"
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--no-binary", ":all:", "-d", folder, release], check=True, timeout=PATIENCE)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    return unpacked


def listed() -> dict[str, str]:
    """The tests of the list, with their reasons."""
    lines = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("  ", 1) for line in lines)


def run(name: str, folder: Path, peer: str = "siox") -> Run:
    """Fetch a suite into an empty folder and run it in a process of its own."""
    suite = SUITES[name]
    unpacked = fetch(suite, folder)
    _own_port(unpacked / suite.tests)
    results = folder / "results"
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    given = {"SUITE_PEER": peer, "SUITE_RESULTS": str(results)}
    output = _pytest(
        [sys.executable, "-m", "pytest", *OPTIONS, suite.tests],
        unpacked,
        {**os.environ, **given, "PYTHONPATH": os.pathsep.join(paths)},
    )
    lines = results.read_text().splitlines() if results.exists() else []
    found = [json.loads(line) for line in lines]
    outcomes = {name: outcome for name, outcome, _ in found}
    tests = unpacked / suite.tests
    why = reasons(tests) if tests.is_dir() else dict.fromkeys(outcomes, "")
    return Run(outcomes, why, {name for name, _, driven in found if driven}, output)


def _own_port(tests: Path) -> None:
    """Have the suite's servers listen where nobody else does; its port is a fixed one."""
    port = str(free_port())
    for file in tests.rglob("*.py"):
        file.write_text(file.read_text().replace("8900", port))


def _pytest(command: list[str], folder: Path, env: dict[str, str]) -> str:
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            return process.communicate(timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0] + "\nthe suite did not end"


def write_list(done: Run) -> None:
    """Write the list of those left out: what failed and may."""
    head = "# Tests of python-socketio that are left out, and why: written by suites.py --update.\n"
    LIST.write_text(head + "".join(f"{name}  {why}\n" for name, why in done.failed.items() if why))


def main() -> None:
    """Run both and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", default="siox", choices=["siox", "python-socketio"])
    parser.add_argument("--suite", default=list(SUITES), choices=list(SUITES), nargs="*")
    parser.add_argument("--update", action="store_true", help="write the list")
    chosen = parser.parse_args()
    for name in chosen.suite:
        with tempfile.TemporaryDirectory() as folder:
            done = run(name, Path(folder), chosen.peer)
        print(done.output)
        for test, why in done.failed.items():
            print(f"{'may be left out' if why else 'FAILED'}: {test}  {why}")
        print(f"{name} on {chosen.peer}: {done.report()}")
        if chosen.update and name == "python-socketio":
            write_list(done)


if __name__ == "__main__":
    main()
