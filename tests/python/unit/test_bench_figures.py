"""The runner of the benches: medians, ratios, targets, the order of a run, and what the README says of it."""

from pathlib import Path
from typing import Any

import pytest

from benches.run import rows, session
from benches.run.drop_in import of_drop_in, of_flask
from benches.run.figures import figure, pick, ratio, rounded
from benches.run.peers import PEER_OF, PYTHON_SOCKETIO_CLIENT, SIOX_CLIENT
from benches.run.readme import of_clients, plainly, renew
from benches.run.results import Results, Sample
from benches.run.rows import CPU, P99, ROW_OF, ROWS
from benches.run.table import row_table, target_table
from benches.run.targets import TARGETS, Target, judge

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
MACHINE = {
    "cpu": "a processor",
    "cores": "2",
    "kernel": "6.1",
    "python": "3.11.7",
    "pinned": "server on core 0, load generator on core 1",
    "load_before": "0.10",
}


def results_of(figures: dict[tuple[str, str], list[float]]) -> Results:
    samples = [
        Sample(row=row, peer=peer, round=number, report=report_of(ROW_OF[row].figure, value))
        for (row, peer), values in figures.items()
        for number, value in enumerate(values)
    ]
    return Results(started="2026-11-23 10:00", quick=False, machine=MACHINE, samples=samples)


def report_of(name: str, value: float) -> dict[str, Any]:
    first, _, rest = name.partition(".")
    return {first: report_of(rest, value) if rest else value}


def test_a_figure_is_the_median_with_its_spread() -> None:
    found = figure([3.0, 1.0, 2.5])
    assert found is not None
    assert (found.median, found.low, found.high, found.runs) == (2.5, 1.0, 3.0, 3)
    assert figure([]) is None


def test_a_ratio_compares_what_was_measured_in_the_same_round() -> None:
    """A slow second makes both slow: the median of the ratios stays."""
    found = ratio({0: 2.0, 1: 20.0, 2: 2.2}, {0: 1.0, 1: 10.0, 2: 1.0, 3: 5.0})
    assert found is not None
    assert (found.median, found.runs) == (2.0, 3)
    assert ratio({0: 1.0}, {1: 1.0}) is None


def test_fields_are_picked_out_of_a_report_and_may_be_missing() -> None:
    report = {"latency_ms": {"p99": 1.5}, "cpu_us_per": None}
    assert pick(report, P99) == 1.5
    assert pick(report, CPU) is None
    assert pick({"latency_ms": None}, P99) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.307, "0.31"), (12.34, "12.3"), (123.4, "123"), (1234.5, "1,234"), (250_123, "250,100")],
)
def test_numbers_are_written_with_three_digits_that_count(value: float, text: str) -> None:
    assert rounded(value) == text


def verdict_of(target: Target, figures: dict[tuple[str, str], list[float]]) -> tuple[float | None, bool]:
    (verdict,) = judge(results_of(figures), (target,))
    return verdict.value, verdict.met


def test_a_target_of_costs_counts_how_many_times_less_we_need() -> None:
    target = Target(text="", row="flat-60", at_least=60, against=("uvicorn", "granian"))
    figures = {("flat-60", "siox"): [0.5], ("flat-60", "uvicorn"): [90.0], ("flat-60", "granian"): [40.0]}
    assert verdict_of(target, figures) == (80.0, True), "the best of the peers counts"
    figures["flat-60", "siox"] = [1.0]
    assert verdict_of(target, figures) == (40.0, False)


def test_a_target_of_rates_counts_how_many_times_more_we_do() -> None:
    target = Target(text="", row="echo-1", at_least=3, against=("node",))
    assert verdict_of(target, {("echo-1", "siox"): [90.0], ("echo-1", "node"): [30.0]}) == (3.0, True)
    assert verdict_of(target, {("echo-1", "siox"): [80.0], ("echo-1", "node"): [40.0]}) == (2.0, False)


@pytest.mark.parametrize(
    ("ours", "bare", "node", "met"),
    [
        (90.0, 200.0, 30.0, True),  # reached as it stands
        (80.0, 200.0, 40.0, False),  # within the bare loop's reach, and not reached
        (80.0, 90.0, 40.0, True),  # out of everybody's reach, and near what is in it
        (70.0, 90.0, 40.0, False),  # not near
    ],
)
def test_a_target_beyond_a_bare_loop_asks_to_come_near_it(
    ours: float, bare: float, node: float, met: bool
) -> None:
    target = Target(text="", row="echo-1", at_least=3, against=("node",), ceiling="bare")
    rates = {"siox": ours, "bare": bare, "node": node}
    figures = {("echo-1", peer): [rate] for peer, rate in rates.items()}
    assert verdict_of(target, figures) == (ours / node, met)


def test_a_target_may_compare_two_rows_of_siox_itself() -> None:
    target = Target(text="", row="echo-beside", at_most=3, against=("siox",), beside="echo-alone")
    assert verdict_of(target, {("echo-beside", "siox"): [2.0], ("echo-alone", "siox"): [1.0]}) == (2.0, True)
    assert verdict_of(target, {("echo-beside", "siox"): [4.0], ("echo-alone", "siox"): [1.0]}) == (4.0, False)


def test_what_was_not_measured_is_not_met() -> None:
    assert verdict_of(Target(text="", row="idle", at_most=6144), {}) == (None, False)
    target = Target(text="", row="flat-60", at_most=1, against=("bare",))
    assert verdict_of(target, {("flat-60", "siox"): [1.0]}) == (None, False)


def test_targets_of_another_python_are_left_out() -> None:
    texts = [verdict.target.at_least for verdict in judge(results_of({})) if "async" in verdict.target.text]
    assert texts == [150_000]


def test_every_target_and_row_names_what_there_is() -> None:
    for target in TARGETS:
        assert (target.at_most is None) != (target.at_least is None)
        peers = ROW_OF[target.row].peers
        assert target.peer in peers
        assert set(target.against) <= set(ROW_OF[target.beside or target.row].peers)
    for row in ROWS:
        assert set(row.peers) <= set(PEER_OF)
        assert set(row.quick_peers) <= set(row.peers)
        assert set(row.often) <= set(row.peers)
        assert row.ours in row.quick_peers
        assert row.server is None or row.server in PEER_OF


def test_servers_take_turns_and_pairs_come_more_often() -> None:
    steps = session.plan([ROW_OF["lockstep"]], ("siox", "bare", "node"), quick=False)
    names = [step.peer.name for step in steps]
    assert names[:9] == ["siox", "bare", "node"] * 3
    assert names[9:] == ["siox", "bare"] * 6


def test_the_short_form_takes_one_round_of_a_few_servers() -> None:
    steps = session.plan(ROWS, None, quick=True)
    assert {step.round for step in steps} == {0}
    assert {step.row.name for step in steps} == set(ROW_OF)
    assert len(steps) <= 60
    words = ROW_OF["flat-60"].arguments("siox", quick=True)
    assert words[words.index("--clients") + 1] == "100"
    assert words.count("--clients") == 1, "the generator takes an option once"
    assert ROW_OF["flat-60"].arguments("uvicorn", quick=False)[-2:] == ["--burst", "40"]


def test_rows_that_need_more_open_files_are_left_out_with_a_sentence() -> None:
    skipped = session.too_many_files(ROWS, 4096)
    assert "needs 10,200 open files, and the limit here is 4,096" in skipped["idle"]
    assert "flat-60" not in skipped


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    results = results_of({("flat-60", "siox"): [0.3, 0.4], ("echo-alone", "siox"): [1.0]})
    results.failures.append("a sentence")
    path = tmp_path / "folder" / "some.json"
    results.write(path)
    assert Results.read(path) == results
    path.write_text('{"format": 99, "samples": []}')
    with pytest.raises(ValueError, match="another version"):
        Results.read(path)


def test_rows_are_replaced_by_those_of_a_later_run_on_the_same_machine() -> None:
    results = results_of(
        {("flat-60", "siox"): [0.3, 0.4], ("echo-1", "siox"): [1.0], ("echo-1", "node"): [1.0]}
    )
    later = results_of({("echo-1", "siox"): [3.0]})
    later.started = "2026-11-23 11:00"
    results.replace(later)
    assert (results.values("flat-60", "siox"), results.values("echo-1", "siox")) == (
        {0: 0.3, 1: 0.4},
        {0: 3.0},
    )
    assert results.peers("echo-1") == ["siox"], "the whole row is of one run"
    assert results.again == {"echo-1": "2026-11-23 11:00"}
    later.machine = {**MACHINE, "cpu": "another"}
    with pytest.raises(ValueError, match="another machine"):
        results.replace(later)


def test_tables_say_how_much_better_and_how_much_worse() -> None:
    results = results_of(
        {("flat-60", "siox"): [2.0], ("flat-60", "node"): [6.0], ("flat-60", "bare-16"): [1.0]}
    )
    table = row_table(results, ROW_OF["flat-60"])
    assert list(table.columns[3].cells) == ["", "2.00 x worse", "3.00 x better"]
    assert row_table(results, ROW_OF["echo-1"]).row_count == 0
    assert "missed" in [str(cell) for cell in target_table(judge(results)).columns[3].cells]


def test_the_readme_says_what_a_client_does() -> None:
    pairs = {"client-receive": (2000.0, 100.0), "client-emit": (3000.0, 100.0)}
    results = results_of(
        {
            (row, client): [value]
            for row, values in pairs.items()
            for client, value in zip((SIOX_CLIENT, PYTHON_SOCKETIO_CLIENT), values, strict=True)
        }
    )
    assert of_clients(results) == (
        "A client, in one process, does this: 2,000 events received a second (20.0 times what "
        "python-socketio's does), 3,000 emitted (30.0 times)."
    )


def test_the_readme_has_the_drop_in_beside_the_library_that_it_stands_in_for() -> None:
    results = results_of(
        {
            ("lockstep", "drop-in"): [5.0],
            ("lockstep", "drop-in-bytes"): [20.0],
            ("lockstep", "aiohttp"): [60.0],
            ("lockstep", "granian"): [50.0],
            ("echo-1", "drop-in"): [100_000.0],
            ("echo-1", "aiohttp"): [20_000.0],
        }
    )
    text = of_drop_in(results)
    assert "one at a time: CPU µs per delivery | 50.0 (granian) | 5.00 (10.0 x) |  | 20.0 (2.50 x) |" in text
    assert "requests/s | 20,000 (aiohttp) | 100,000 (5.00 x) |  |  |" in text
    assert of_drop_in(results_of({("lockstep", "granian"): [50.0]})) == ""
    flask = {("flask-idle", "flask"): [30_000.0], ("flask-idle", "flask-drop-in"): [3_000.0]}
    assert "at 500, bytes | 30,000 | 3,000 (10.0 x) |" in of_flask(results_of(flask))


def test_the_readme_gets_only_what_a_run_has_measured(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(
        f"{BEGIN}\nold\n{END}\n<!-- applications: begin -->\nolder\n<!-- applications: end -->\n"
    )
    results = results_of({("echo-1", "drop-in"): [100_000.0], ("echo-1", "aiohttp"): [20_000.0]})
    results.versions = {"drop-in": "siox 1.0, python-socketio 5, Python 3.11"}
    here = Path(session.__file__).parents[1] / "results" / "drop-in.json"
    assert renew(results, here, readme) == "README.md has the applications of drop-in.json"
    text = readme.read_text()
    assert f"{BEGIN}\nold\n{END}" in text
    assert "older" not in text
    assert "100,000 (5.00 x)" in text
    assert "2026-11-23: siox 1.0, python-socketio 5. " in text


def test_a_drop_in_has_targets_on_each_of_its_servers() -> None:
    figures = {("echo-10", "uvicorn"): [20_000.0], ("echo-10", "drop-in"): [90_000.0]}
    verdicts = {
        verdict.target.peer: (verdict.value, verdict.met)
        for verdict in judge(results_of(figures | {("echo-10", "drop-in-bytes"): [50_000.0]}))
        if verdict.target.row == "echo-10" and verdict.target.peer.startswith("drop-in")
    }
    assert verdicts == {
        "drop-in": (4.5, False),
        "drop-in-adopted": (None, False),
        "drop-in-bytes": (2.5, True),
    }


def test_the_readme_gets_the_table_and_where_siox_buys_nothing(tmp_path: Path) -> None:
    work = {(f"work-{cost:g}", "siox"): [1000 / (cost + 0.01)] for cost in rows.HANDLER_COSTS}
    others = {(f"work-{cost:g}", "aiohttp"): [1000 / (cost + 0.1)] for cost in rows.HANDLER_COSTS}
    echo = {("echo-1", "siox"): [90_000.0], ("echo-1", "aiohttp"): [9000.0], ("echo-1", "uvicorn"): [5000.0]}
    results = results_of({**work, **others, **echo})
    results.versions = {"siox": "siox 1.0", "aiohttp": "python-socketio 5, aiohttp 3, Python 3.11"}
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    here = Path(session.__file__).parents[1] / "results" / "full.json"
    renew(results, here, readme)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "| 90,000 |  |  | 9,000 (aiohttp) |" in text
    assert "old" not in text
    assert "benches/results/full-delivery.svg" in text
    assert "10.0 times as many requests as python-socketio with 0 ms" in plainly(results)
    assert "1.01 times with 10 ms" in plainly(results)
    assert of_clients(results) == ""
    readme.write_text("no markers")
    with pytest.raises(ValueError, match="once each"):
        renew(results, here, readme)
