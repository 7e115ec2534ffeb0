"""The line that says what siox does is seen, whether a log was set up or not."""

from __future__ import annotations

import logging

import pytest

from siox.compat._telling import log, tell


def test_it_is_logged_where_there_is_a_log_and_printed_where_not(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.INFO, "siox"):
        tell("siox drives it")
    assert (caplog.messages, capsys.readouterr().err) == (["siox drives it"], "")
    monkeypatch.setattr(log, "hasHandlers", lambda: False)
    tell("siox drives it")
    assert (len(caplog.messages), capsys.readouterr().err) == (1, "siox drives it\n")
