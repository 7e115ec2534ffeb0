"""Runs programs that serve, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

from waiting import PATIENCE

LOUD = ("-W", "default")
"""What was left open is said. Not `-X dev`: on a busy machine asyncio then complains of that."""

FORKING = ("-W", "ignore:This process:DeprecationWarning")
"""From 3.12 on Python warns of a fork beside threads, which is what such a program is about."""


def run(program: str, *, flags: tuple[str, ...] = LOUD) -> str:
    """Run a program to its end, which is to be a quiet one; return what it printed."""
    command = [sys.executable, *flags, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


class Program:
    """A program that runs, and has told its URL in its first line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its status and what it complained about."""
        _, complaints = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, complaints


@contextmanager
def running(program: str) -> Iterator[Program]:
    """Start a program."""
    command = [sys.executable, *LOUD, "-c", textwrap.dedent(program)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield Program(process)
    finally:
        process.kill()
        process.communicate()
