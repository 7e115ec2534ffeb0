"""The argument `module:name` of the commands that look at an application."""

from __future__ import annotations

import click

from _siox_compat.loading import Named, NoApplicationError, parse


def named(argument: str) -> Named:
    """Read it.

    Raises:
        ClickException: one sentence that says how it is written.
    """
    try:
        return parse(argument)
    except NoApplicationError as error:
        raise click.ClickException(str(error)) from None
