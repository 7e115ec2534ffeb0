"""How far it is: a bar by rich where it is installed, and by click where it is not."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import click


@contextlib.contextmanager
def progress(steps: int) -> Iterator[Callable[[str], None]]:
    """Yield what is called before each step, with what it is. Nothing is shown where nobody looks."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        with click.progressbar(length=steps, file=sys.stderr, show_eta=False, item_show_func=str) as bar:
            yield lambda what: bar.update(1, what)
        return
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("starting", total=steps)
        done = -1

        def step(what: str) -> None:
            nonlocal done
            done += 1
            shown.update(task, completed=done, description=what)

        yield step
