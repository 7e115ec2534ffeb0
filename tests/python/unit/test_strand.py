"""Functions on a strand run one after the other, on threads that come and go."""

from __future__ import annotations

import threading
import time

import pytest

from siox import _strand
from siox._strand import Pool, Strand, making_room


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


def test_a_bounded_pool_keeps_to_its_limit_and_strands_take_turns() -> None:
    pool = Pool(1)
    gate, order = threading.Event(), list[str]()
    one, two = Strand(pool), Strand(pool)
    one.post(lambda: gate.wait(5))
    one.post(lambda: order.append("one"))
    last = two.submit(order.append, "two")
    assert set(pool.strands()) == {one, two}
    gate.set()
    last.result(5)
    one.wait(5)
    assert order == ["two", "one"]
    two.wait()
    assert pool.strands() == []


def test_who_waits_makes_room_and_comes_back_though_it_is_crowded_then() -> None:
    pool = Pool(1)
    one, two, three = Strand(pool), Strand(pool), Strand(pool)
    gate, inside = threading.Event(), threading.Event()

    def wait() -> str:
        with making_room():
            assert inside.wait(5)
        return "came back while the other was at work"

    waiting = one.submit(wait)

    def work() -> str:
        inside.set()
        assert gate.wait(5)
        return "worked"

    working = two.submit(work)
    assert waiting.result(5)
    later = three.submit(lambda: "at last")
    gate.set()
    assert (working.result(5), later.result(5)) == ("worked", "at last")
    with making_room():  # a thread of nobody's pool: nothing to make
        pass


def test_a_function_knows_where_it_runs() -> None:
    strand = Strand()
    assert strand.submit(lambda: (strand.here, _strand.current() is strand)).result(5) == (True, True)
    assert (strand.here, _strand.current()) == (False, None)
    strand.submit(strand.wait).result(5)  # it does not wait for itself


def test_where_no_thread_can_be_had_the_next_post_comes_back_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(2)
    strand, other = Strand(pool), Strand(pool)

    def fails(run: object, name: str) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("siox._threads.start", fails)
        first = strand.submit(lambda: "first")
        assert not first.done()
    assert other.submit(lambda: "second").result(5) == "second"
    strand.submit(lambda: None)
    assert first.result(5) == "first"


def test_what_must_not_raise_and_does_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    strand = Strand(Pool(1))
    strand.post(lambda: 1 / 0)
    assert strand.submit(lambda: "next").result(5) == "next"
    assert "siox itself failed" in caplog.text


def test_so_many_may_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_strand, "MAX_WAITING", 1)
    pool, waiting = Pool(1), threading.Semaphore(0)
    gates = [threading.Event(), threading.Event()]

    def wait(gate: threading.Event) -> None:
        with making_room():
            waiting.release()
            assert gate.wait(5)

    futures = [Strand(pool).submit(wait, gate) for gate in gates]
    assert waiting.acquire(timeout=5)
    assert waiting.acquire(timeout=5)
    third = Strand(pool).submit(lambda: "at last")
    time.sleep(0.02)
    assert not third.done()
    gates[0].set()
    assert third.result(5) == "at last"
    gates[1].set()
    for future in futures:
        future.result(5)
