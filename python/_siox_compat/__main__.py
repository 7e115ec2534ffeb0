"""`python -m siox.compat`, in a process that has imported nothing yet: runs a program as Python itself would.

The program is `__main__`, with its own `sys.argv`, `sys.path[0]` and `__spec__`.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import runpy
import sys
from types import CodeType, ModuleType
from typing import Any

import _siox_compat

USAGE = """usage: python -m siox.compat script.py [arguments]
       python -m siox.compat -m module [arguments]
       python -m siox.compat -c command [arguments]
runs a program in which `import socketio` gives siox's servers; https://pypi.org/project/siox says more"""


def main() -> None:
    """Run what the arguments name."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        raise SystemExit(0 if arguments else 2)
    option, rest = arguments[0], arguments[1:]
    if option in ("-m", "-c") and not rest:
        raise SystemExit(f"Argument expected for the {option} option\n{USAGE}")
    # Workers and reloaded processes are new Pythons: they know by the environment.
    os.environ["SIOX_COMPAT"] = "1"
    _siox_compat.begin()
    if option == "-m":
        run_module(rest)
    elif option == "-c":
        sys.argv[:] = ["-c", *rest[1:]]
        _set_first_path("")
        _run(compile(rest[0], "<string>", "exec"), "<string>", None)
    elif option.startswith("-"):
        raise SystemExit(
            f"{option} is not known here; options of Python stand before -m siox.compat\n{USAGE}"
        )
    else:
        run_script(arguments)


def run_script(arguments: list[str]) -> None:
    """Run a file; or a folder or an archive that has a `__main__.py`."""
    sys.argv[:] = arguments
    path = arguments[0]
    if os.path.isdir(path) or not os.path.exists(path) or _is_archive(path):
        if not os.path.exists(path):
            raise SystemExit(f"python -m siox.compat: there is no file {path!r}")
        _drop_first_path()
        runpy.run_path(path, run_name="__main__")
        return
    _set_first_path(os.path.dirname(os.path.realpath(path)))
    absolute = os.path.abspath(path)
    with open(path, "rb") as file:
        code = compile(file.read(), absolute, "exec", dont_inherit=True)
    _run(code, absolute, None)


def run_module(arguments: list[str]) -> None:
    """Run a module, or the `__main__` of a package."""
    name = arguments[0]
    # As Python has it while it looks for the module.
    sys.argv[:] = ["-m", *arguments[1:]]
    spec = _find(name)
    if spec is not None and spec.submodule_search_locations is not None:
        name = f"{name}.__main__"
        spec = _find(name)
    get_code = getattr(spec and spec.loader, "get_code", None)
    code = get_code(name) if get_code is not None else None
    if spec is None or code is None:
        raise SystemExit(f"{sys.executable}: No module named {name}")
    sys.argv[0] = spec.origin or name
    _run(code, sys.argv[0], spec)


def _find(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None


def _run(code: CodeType, path: str, spec: importlib.machinery.ModuleSpec | None) -> None:
    main: Any = ModuleType("__main__")
    main.__builtins__ = __builtins__
    if path != "<string>":
        main.__file__ = path
        main.__cached__ = None if spec is None else spec.cached
    main.__spec__ = spec
    main.__package__ = None if spec is None else spec.parent
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", path) if spec is None else spec.loader
    # Nothing else keeps the module that runs now.
    main.__dict__.setdefault("__annotations__", {})
    sys.modules["_siox_compat.__main__"] = sys.modules["__main__"]
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def _set_first_path(entry: str) -> None:
    if not sys.flags.safe_path:
        sys.path[0] = entry


def _drop_first_path() -> None:
    # runpy puts the folder or the archive in its place.
    if not sys.flags.safe_path:
        del sys.path[0]


def _is_archive(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"PK"


if __name__ == "__main__":
    main()
