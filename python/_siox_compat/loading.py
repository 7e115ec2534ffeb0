"""Imports the application that `siox doctor` and `siox bench --compare` look at, and says what is wrong.

It imports nothing of siox: where python-socketio is measured, that shall be all there is.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from types import FunctionType
from typing import Any, NamedTuple

from _siox_compat import refused

GUARD = 'if __name__ == "__main__":'
LONGEST = 1000
"""Characters of a line of a traceback that are shown."""
MOST_NAMES = 20
_OURS = (
    os.path.dirname(os.path.abspath(__file__)),
    os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "siox", "cli"),
    os.path.dirname(os.path.abspath(importlib.__file__)),
)
"""Folders whose frames tell nothing of a program."""


class NoApplicationError(Exception):
    """It cannot be served; the message says why."""


class Named(NamedTuple):
    """What `module:name`, or `module:function()`, names.

    Attributes:
        module: where it is.
        name: what it is called there; dots go into objects.
        called: whether it is a function that makes it.
    """

    module: str
    name: str
    called: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.name}{'()' if self.called else ''}"


def parse(application: str) -> Named:
    """Read `module:name`, or `module:function()`; without a name that is `app`.

    Raises:
        NoApplicationError: it names no module; the message says how it is written.
    """
    module, _, name = application.strip().partition(":")
    name = name or "app"
    if module.endswith(".py") or "/" in module:
        raise NoApplicationError(f"write the module, not its file: {_as_module(module, name)}")
    if not module or module.startswith("."):
        raise NoApplicationError(f"{application!r} names no module: write module:name, such as app:app")
    called = name.endswith("()")
    name = name.removesuffix("()")
    if not all(part.isidentifier() for part in name.split(".")):
        raise NoApplicationError(
            f"{name!r} is no name: write module:name, or module:function() for a function that makes the"
            " application and needs no arguments"
        )
    return Named(module, name, called)


def _as_module(path: str, name: str) -> str:
    folder, file = os.path.split(os.path.normpath(path))
    file = file.removesuffix(".py")
    if folder.startswith(("/", "..")):
        return f"--app-dir {folder} {file}:{name}"
    return f"{'.'.join([*filter(None, folder.split('/')), file])}:{name}"


def load(named: Named) -> Any:
    """Return the object that is named, or what the function makes.

    Raises:
        NoApplicationError: there is none.
    """
    try:
        found = _find(_import(named.module), named)
        return _make(found, named) if named.called else found
    except SystemExit as error:
        raise NoApplicationError(_of_exit(named, error)) from None
    except refused.RefusedModeError as error:
        raise NoApplicationError(f"{named.module}: {error}") from None
    except ValueError as error:
        # Python-engineio says no more than that the mode is invalid.
        if (said := _of_mode(error)) is not None:
            raise NoApplicationError(f"{named.module}: {said}") from None
        raise


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise NoApplicationError(
                f"there is no module {module!r} in {sys.path[0]}; --app-dir names another directory"
            ) from None
        if error.name == "eventlet":
            raise NoApplicationError(f"{module} imports eventlet: {refused.REFUSED['eventlet']}") from None
        raise


def _find(found: Any, named: Named) -> Any:
    for part in named.name.split("."):
        if not hasattr(found, part):
            names = [each for each in vars(found) if not each.startswith("_")]
            more = ", …" if len(names) > MOST_NAMES else ""
            there = f"{', '.join(names[:MOST_NAMES])}{more}" or "nothing"
            raise NoApplicationError(f"{named.module} has no {part!r}; it has: {there}")
        found = getattr(found, part)
    return found


def _make(function: Any, named: Named) -> Any:
    what = f"{named.module}:{named.name}"
    # Late: the program may have gevent patch what this imports.
    import inspect

    if inspect.iscoroutinefunction(function):
        raise NoApplicationError(f"{what}() is a coroutine: name a function without async that makes it")
    if not _needs_nothing(function):
        if inspect.isroutine(function) or inspect.isclass(function):
            way = "() needs arguments: name a function that makes the application without any"
        else:
            way = " is no function that makes one: leave out ()"
        raise NoApplicationError(f"{what}{way}")
    made = function()
    if made is None:
        raise NoApplicationError(f"{what}() returns None: have it return the application")
    return made


def _needs_nothing(function: Any) -> bool:
    import inspect

    if not callable(function):
        return False
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:
        # Nobody knows what functions of C take.
        return True
    return True


def _of_exit(named: Named, error: SystemExit) -> str:
    """Return what to do about a program that ends itself."""
    given = "" if error.code is None else repr(error.code)
    way = f"put that under `{GUARD}`"
    if error.code:
        way += ", or give it what it asks for"
    return cut(f"{named.module} ends when it is imported, by sys.exit({given}){_place(error)}: {way}")


def _place(error: BaseException) -> str:
    """Return the last line of the program's own."""
    frames, folder = _kept(error), f"{sys.path[0]}{os.sep}"
    own = [frame for frame in frames if frame.filename.startswith(folder)] or frames
    return f" in {own[-1].filename.removeprefix(folder)}, line {own[-1].lineno}" if own else ""


def _of_mode(error: ValueError) -> str | None:
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__") == "engineio.base_server":
            try:
                refused.check(frame.f_locals.get("async_mode"))
            except refused.RefusedModeError as known:
                return str(known)
    return None


def waits_for(application: str) -> str:
    """Return what is said of an import that takes long."""
    return f"importing {application} takes long: if it serves when it is imported, put that under `{GUARD}`"


def without_server(found: Any, named: Named) -> str:
    """Return why no server was made, and what to do."""
    if isinstance(found, FunctionType) and not named.called:
        why = f"it is a function; if that makes the application, write '{named}()'"
    elif is_of_siox(found):
        why = "it is one of siox's own, which is as fast as can be"
    else:
        why = (
            "neither AsyncServer nor Server was made when it was imported; name what makes it, such as the"
            " module that your server starts, or module:function()"
        )
    return f"{named} has no Socket.IO server of python-socketio's: {why}"


def is_of_siox(found: Any) -> bool:
    """Return whether a program was written for siox."""
    module = type(found).__module__
    return module.startswith("siox.") and not module.startswith("siox.compat.")


def shown(error: BaseException) -> str:
    """Return a traceback without the frames of ours and of the import system."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = "" if cause is None else f"{shown(cause)}and because of that:\n"
    lines = [*traceback.format_list(_kept(error)), *traceback.format_exception_only(error)]
    return before + "".join(f"{cut(line)}\n" for text in lines for line in text.splitlines())


def _kept(error: BaseException) -> list[traceback.FrameSummary]:
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen importlib")
        and not any(frame.filename.startswith(f"{folder}{os.sep}") for folder in _OURS)
    ]


def cut(line: str) -> str:
    """Return what people read of a line."""
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}… ({len(line) - LONGEST:,} more)"
