"""The gate on instructions: figures out of counts, and what is to be said of them."""

import pytest

from benches.instructions.judge import judge, least, middle, per_work


def test_what_setting_up_and_marking_cost_cancels() -> None:
    marking = 77
    parts = [1_000_000, 10 * 500 + marking, 30 * 500 + marking, 2_000, 10 * 40 + marking, 30 * 40 + marking]
    assert per_work(parts, (10, 30), [50, 1]) == [10.0, 40.0]


def test_a_part_that_is_missing_is_an_error() -> None:
    with pytest.raises(ValueError, match="5 parts were counted instead of 6"):
        per_work([1] * 5, (10, 30), [1, 1])


@pytest.mark.parametrize(
    ("counted", "failed", "sentence"),
    [
        (1019.0, False, ""),
        (1021.0, True, "more than may be"),
        (981.0, False, ""),
        (979.0, False, "fewer: renew the figure"),
    ],
)
def test_two_parts_in_a_hundred_more_fail_and_less_are_to_be_renewed(
    counted: float, failed: bool, sentence: str
) -> None:
    (verdict,) = judge({"echo": counted}, {"echo": 1000})
    assert verdict.failed is failed
    assert verdict.sentence.startswith(sentence)
    assert bool(verdict.sentence) is bool(sentence)


def test_the_median_is_checked_in_and_the_least_is_judged() -> None:
    runs = [{"echo": 3.0, "sent": 1.0}, {"echo": 1.0, "sent": 9.0}, {"echo": 2.0, "sent": 5.0}]
    assert middle(runs) == {"echo": 2.0, "sent": 5.0}
    assert least(runs) == {"echo": 1.0, "sent": 1.0}


def test_work_without_a_checked_in_figure_fails() -> None:
    (verdict,) = judge({"echo": 1.0}, {})
    assert verdict.failed
    assert verdict.sentence == "no figure is checked in"
