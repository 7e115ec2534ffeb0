"""`siox bench --compare`: that it measures, and what it says; never how much."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from siox.cli.compare import arm, command
from siox.cli.compare import bench as bench_command
from siox.cli.compare.arm import PLAIN, SIOX, Arm, ArmError
from siox.cli.compare.chart import svg
from siox.cli.compare.progress import progress
from siox.cli.compare.report import number, pairs, table
from siox.cli.compare.rounds import Measured, Plan, Step, p99

APPLICATION = """
import siox.compat.socketio as socketio
sio = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(sio)
@sio.event
async def chat(sid, text):
    await sio.emit("chat", text)
@sio.event
def ask(sid, number):
    return number + 1
"""


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "siox.cli", "bench", *arguments],
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=55,
        check=False,
    )


@pytest.mark.timeout(60)
def test_it_runs_an_application_on_both_in_turn(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    small = (
        "-n",
        "4",
        "--rounds",
        "1",
        "--broadcasts",
        "2",
        "--seconds",
        "0.1",
        "--json",
        "--chart",
        "c.svg",
    )
    ran = bench(tmp_path, "--compare", "app:app", *small, "--broadcast", 'chat "hi"', "--echo", "ask 1")
    assert ran.stderr == "chart: c.svg\n"
    told = json.loads(ran.stdout)
    assert set(told) == {PLAIN, SIOX}
    for each in told.values():
        assert set(each["figures"]) == {
            "connect", "memory", "delivery", "delivery_p99", "rate", "answer", "answer_p99"
        }  # fmt: skip
        assert (each["events"], each["slow"]) == (["ask", "chat"], [])
        assert each["server"].startswith("uvicorn ")
    # It is siox that was measured, and only there.
    assert told[PLAIN]["driver"] == ""
    assert told[SIOX]["driver"].startswith("sockets given by uvicorn")
    assert ElementTree.fromstring((tmp_path / "c.svg").read_text()).tag.endswith("svg")


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    (tmp_path / "broken.py").write_text("import socketio\n1 / 0\n")
    (tmp_path / "huge.py").write_text("import socketio\nraise RuntimeError('x' * 100_000)\n")
    (tmp_path / "green.py").write_text("import socketio\nsocketio.Server(async_mode='eventlet')\n")
    for arguments, said in (
        (("app:nothing",), "app has no 'nothing'; it has: socketio, sio, app, chat, ask"),
        (("app.py",), "write the module, not its file: app:app\n"),
        (("green",), "green: async_mode='eventlet': eventlet is no longer developed: use async_mode='thr"),
        (("broken:app",), "on python-socketio: broken:app fails\n"),
        (("huge",), "on python-socketio: huge:app fails\n"),
        (
            ("app:app", "--echo", "none"),
            "the application has no handler for 'none'; it has some for: ask, chat",
        ),
    ):
        ran = bench(tmp_path, "-n", "1", "--rounds", "1", "--compare", *arguments)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.startswith(f"Error: {said}")
        assert "_siox_compat" not in ran.stderr
        assert len(ran.stderr) < 2_000


def test_the_table_and_the_chart_say_what_is_better() -> None:
    measured = {PLAIN: Measured(), SIOX: Measured()}
    measured[PLAIN].figures = {"delivery": [50.0, 40.0, 60.0], "rate": [1000.0], "memory": [2048.0]}
    measured[SIOX].figures = {"delivery": [5.0], "rate": [4000.0], "memory": [2048.0]}
    found = pairs(measured)
    text = "\n".join(table(found, colour=False))
    assert "broadcast: CPU per delivery, µs" in text
    assert [line.split()[-3:] for line in text.splitlines() if "siox" in line] == [
        ["10.0", "\N{MULTIPLICATION SIGN}", "less"],
        ["4.00", "\N{MULTIPLICATION SIGN}", "more"],
        ["2.00", "the", "same"],
    ]
    assert svg("a < b", "note", found).count("<rect") == 3 + 2 * 3


def test_numbers_have_three_figures() -> None:
    assert [number(each) for each in (0.123, 12.34, 123.4, 1234.5)] == ["0.12", "12.3", "123", "1,234"]
    assert (p99([1.0]), p99([float(each) for each in range(1, 201)])) == (1.0, 198.0)


def given(**figures: float) -> Measured:
    return Measured({name: [value] for name, value in figures.items()}, "uvicorn 1", "a driver", [], ["ask"])


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, Measured]:
    found = {PLAIN: given(delivery=50.0, memory=1.0), SIOX: given(delivery=5.0, memory=0.0)}

    async def run(plan: Plan, step: Step) -> dict[str, Measured]:
        step("something")
        return found

    monkeypatch.setattr(command, "run", run)
    return found


def test_people_are_told_of_slow_paths_and_of_what_was_not_measured(measured: dict[str, Measured]) -> None:
    said = CliRunner().invoke(bench_command, ["--compare", "app:app"]).output
    assert "app:app: 200 clients, 3 rounds each, medians; uvicorn 1, siox " in said
    assert "siox drove it by: a driver.\nSlow paths: none.\n" in said
    assert "Not measured: answers. --echo takes one of your events: ask\n" in said
    measured[SIOX].slow.append("json=mine writes")
    said = CliRunner().invoke(bench_command, ["--compare", "app:app", "--echo", "ask 1"]).output
    assert said.endswith("Slow path, where Python sees every packet:\n  - json=mine writes\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--auth", "x"), "--auth: 'x': write name=value"),
        (("--echo", "ask {"), "--echo: "),
        (("--chart", "/not/there/c.svg"), "--chart: there is no directory /not/there"),
        (("-n", "100000000"), "100000000 clients need 100000064 open files"),
    ],
)
def test_options_that_make_no_sense_are_explained(arguments: tuple[str, ...], said: str) -> None:
    ran = CliRunner().invoke(bench_command, ["--compare", "app:app", *arguments])
    assert ran.exit_code != 0
    assert said in ran.output


@pytest.mark.parametrize("has_rich", [True, False])
def test_a_person_sees_how_far_it_is(
    has_rich: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    if not has_rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    with progress(2) as step:
        step("one")
        step("two")
    assert "two" in capsys.readouterr().err


async def test_a_process_that_ends_before_it_serves_is_shown_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os\nprint('last words', flush=True)\nos._exit(3)\n")
    with pytest.raises(ArmError, match=r"app:app on siox ended\n  last words"):
        async with Arm(SIOX, "app:app", tmp_path):
            raise AssertionError


async def test_answers_may_be_longer_than_asyncio_takes(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(f"{APPLICATION}sio.on('e' * 100_000, ask)\n")
    async with Arm(SIOX, "app:app", tmp_path) as begun:
        assert "e" * 100_000 in (await begun.stats())["events"]


async def test_a_program_that_serves_when_it_is_imported_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(arm, "START_TIMEOUT", 0.5)
    monkeypatch.setattr(arm, "PATIENCE", 0.1)
    (tmp_path / "app.py").write_text("import time\ntime.sleep(60)\n")
    with pytest.raises(ArmError, match=r"did not answer within 0.5 s; importing app takes long: if it"):
        async with Arm(SIOX, "app", tmp_path):
            raise AssertionError
    assert capsys.readouterr().err.count("importing app takes long: if it serves") == 1


@pytest.mark.timeout(60)
def test_what_a_handler_wrote_is_shown_where_it_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION.replace("number + 1", "1 / 0"))
    ran = bench(
        tmp_path, "--compare", "app", "-n", "1", "--rounds", "1", "--broadcasts", "1", "--echo", "ask 1"
    )
    assert ran.stderr.startswith("Error: on python-socketio 'ask' was not answered: ")
    assert ran.stderr.endswith("\n  ZeroDivisionError: division by zero\n")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("kind", "by"), [("Server", "werkzeug"), ("AsyncServer", "aiohttp")])
def test_a_server_alone_has_an_application_made_around_it(kind: str, by: str, tmp_path: Path) -> None:
    mode = {"werkzeug": "threading"}.get(by, by)
    (tmp_path / "app.py").write_text(f"import socketio\napp = socketio.{kind}(async_mode={mode!r})\n")
    ran = bench(tmp_path, "--compare", "app:app", "-n", "2", "--rounds", "1", "--broadcasts", "1", "--json")
    assert ran.stderr == ""
    told = json.loads(ran.stdout)
    assert [each["server"].split()[0] for each in told.values()] == [by, by]
    assert told[SIOX]["driver"].startswith(f"sockets given by {by}")
