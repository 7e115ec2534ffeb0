"""Functions on a strand run one after the other, on threads that come and go."""

from __future__ import annotations

import threading
import time

import pytest

from siox import _strand
from siox._strand import Pool, Strand


def test_order_is_kept_and_threads_are_used_again() -> None:
    strand, other = Strand(), Strand()
    got: list[int] = []
    threads = set()

    def note(number: int) -> int:
        threads.add(threading.current_thread())
        got.append(number)
        return number

    futures = [strand.submit(note, number) for number in range(100)]
    assert [future.result(5) for future in futures] == list(range(100))
    assert got == list(range(100))
    time.sleep(0.05)
    assert other.submit(note, 100).result(5) == 100
    assert len(threads) == 1


def test_strands_do_not_wait_for_each_other() -> None:
    gate = threading.Event()
    waiting, going = Strand(), Strand()
    stuck = waiting.submit(gate.wait, 5)
    assert going.submit(lambda: "done").result(5) == "done"
    gate.set()
    assert stuck.result(5)


def test_what_is_raised_is_the_futures_and_the_next_runs() -> None:
    strand = Strand()
    failed = strand.submit(lambda: 1 / 0)
    assert strand.submit(lambda: "next").result(5) == "next"
    with pytest.raises(ZeroDivisionError):
        failed.result(5)
    gate = threading.Event()
    strand.submit(gate.wait, 5)
    cancelled = strand.submit(pytest.fail, "it is cancelled")
    assert cancelled.cancel()
    gate.set()
    assert strand.submit(lambda: "after").result(5) == "after"


def test_a_thread_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_strand, "IDLE_TIME", 0.01)
    strand = Strand(Pool())
    thread = strand.submit(threading.current_thread).result(5)
    thread.join(5)
    assert not thread.is_alive()
    assert strand.submit(lambda: "a new one").result(5) == "a new one"
