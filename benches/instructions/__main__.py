"""The command: `python -m benches.instructions`, with `--update` to renew what is checked in."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benches.instructions.judge import Verdict, judge, least, middle, per_work
from benches.instructions.work import COUNTS, KINDS

HERE = Path(__file__).parent
EXPECTED = HERE / "expected.json"
UPDATE_RUNS = 3
"""Runs whose median is checked in."""
MARK = "getpriority"
"""The function of the C library that `work.mark` calls: a part ends before each call."""


@click.command(help=__doc__)
@click.option("--update", is_flag=True, help="Check in what is counted now.")
def main(*, update: bool) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    counted = middle([count() for _ in range(UPDATE_RUNS)]) if update else count()
    python = ".".join(platform.python_version_tuple()[:2])
    known = json.loads(EXPECTED.read_text(encoding="utf-8")) if EXPECTED.exists() else {}
    entry = known.get(python, {})
    verdicts = judge(counted, entry.get("instructions", {}))
    if entry and not update and any(verdict.failed for verdict in verdicts):
        # Session ids are random, and now and then they lie badly in a table: what is really more stays so.
        verdicts = judge(least([counted, count()]), entry["instructions"])
    console.print(table(verdicts))
    if update:
        known[python] = {"built": built(), "instructions": {kind: round(n) for kind, n in counted.items()}}
        EXPECTED.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        console.print(f"{EXPECTED.name} has these figures now, for Python {python}")
    elif any(verdict.failed for verdict in verdicts):
        if entry and entry["built"] != built():
            console.print(
                f"The figures were counted with {entry['built']}; this is {built()}.", highlight=False
            )
        console.print("make bench BENCH=instructions UPDATE=1 renews them.")
        sys.exit(1)


def count() -> dict[str, float]:
    """Run the work below valgrind; return the instructions for one of each kind."""
    if shutil.which("valgrind") is None:
        raise click.ClickException("valgrind is not installed")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "counted")
        command = [
            *(["setarch", "-R"] if shutil.which("setarch") else []),
            "valgrind",
            "--tool=callgrind",
            f"--dump-before={MARK}",
            f"--callgrind-out-file={out}",
            sys.executable,
            str(HERE / "work.py"),
        ]
        # Where things lie in memory, and in which order sets are walked, is to be the same every time.
        environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(f"the work failed:\n{done.stderr[-2000:]}")
        dumps = sorted(Path(folder).glob("counted.*"), key=lambda path: int(path.suffix[1:]))
        parts = [total(dump) for dump in dumps if f"--dump-before={MARK}" in dump.read_text(encoding="utf-8")]
    figures = per_work(parts, COUNTS, [size for _, size, _ in KINDS.values()])
    return dict(zip(KINDS, figures, strict=True))


def total(dump: Path) -> int:
    """Return the instructions of one part."""
    found = re.search(r"^totals: (\d+)", dump.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise click.ClickException(f"{dump.name} has no total")
    return int(found[1])


def table(verdicts: list[Verdict]) -> Table:
    """Return what was counted, beside what is checked in."""
    shown = Table(title="Instructions", title_justify="left", title_style="bold", header_style="dim")
    for heading in ("work", "counted", "checked in", "change"):
        shown.add_column(heading, justify="left" if heading == "work" else "right")
    shown.add_column("")
    for verdict in verdicts:
        work, _, one = KINDS[verdict.kind]
        name = f"{(work.__doc__ or '').splitlines()[0].rstrip('.')}: each {one}"
        expected = "" if verdict.expected is None else f"{verdict.expected:,.0f}"
        change = "" if verdict.expected is None else f"{verdict.change:+.2%}"
        style = "red" if verdict.failed else "green" if verdict.sentence else ""
        shown.add_row(name, f"{verdict.counted:,.0f}", expected, change, verdict.sentence, style=style)
    return shown


def built() -> str:
    """Say what the figures depend on besides our own code."""
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False).stdout.split()
    rust = rustc[1] if len(rustc) > 1 else "unknown"
    python = f"Python {platform.python_version()} ({platform.python_compiler()})"
    return f"{python}, rustc {rust}, {platform.machine()}"


if __name__ == "__main__":
    main()
