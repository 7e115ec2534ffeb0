"""siox under the name `socketio`: by a call, by a variable, by a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import siox

HOME = Path(siox.__file__).parent.parent
CLEAN = {name: value for name, value in os.environ.items() if name not in ("SIOX_COMPAT", "PYTHONPATH")}


def python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**CLEAN, **environment},
        text=True,
        capture_output=True,
        timeout=30,
    )


def test_installed_it_is_the_module_that_everyone_imports(tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text("import socketio\nServer = socketio.AsyncServer\n")
    (tmp_path / "program.py").write_text(
        """
import sys
import siox
siox.install()
siox.install()
import socketio, socketio.asgi, socketio.admin, library
from socketio.async_server import AsyncServer
from socketio.server import Server
from socketio.packet import Packet
from unittest import mock
import siox.compat.socketio as ours
assert AsyncServer is socketio.AsyncServer is ours.AsyncServer is library.Server
assert AsyncServer.__module__.startswith("siox.compat."), AsyncServer
assert Server is socketio.Server is ours.Server
assert socketio.asgi.ASGIApp is ours.ASGIApp
assert Packet is socketio.packet.Packet is socketio.base_server.packet.Packet
assert socketio.__name__ == "socketio" and set(dir(ours)) >= set(socketio.__all__)
with mock.patch("socketio.AsyncServer", 5):
    assert socketio.AsyncServer == 5
assert socketio.AsyncServer is ours.AsyncServer
siox.uninstall()
import socketio, socketio.server
assert socketio.Server is socketio.server.Server is not Server, socketio.Server
assert issubclass(Server, socketio.Server)
try:
    siox.install()
except siox.UsageError as error:
    print(error)
"""
    )
    ran = python("program.py", cwd=tmp_path)
    assert ran.stderr == ""
    # What was imported meanwhile is siox's still, and no hindrance.
    assert ran.stdout.startswith("the program itself (")
    assert "library" not in ran.stdout


def test_who_imported_it_first_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text("'''Mine.'''\nfrom socketio import AsyncServer\n")
    ran = python("-c", "import siox, library; siox.install()", cwd=tmp_path)
    said = ran.stderr.splitlines()[-1]
    assert "siox.exceptions.UsageError: library (" in said
    assert "library.py, line 2) has imported python-socketio already: call siox.install() before that" in said
    # Names that siox leaves alone are in nobody's way.
    (tmp_path / "library.py").write_text("from socketio.exceptions import ConnectionRefusedError\n")
    assert python("-c", "import siox, library; siox.install()", cwd=tmp_path).stderr == ""


PROGRAM = """
import json, multiprocessing, sys, socketio
from socketio.server import Server
def work(): return socketio.AsyncServer.__module__
if __name__ == "__main__":
    main = sys.modules["__main__"]
    print(json.dumps({
        "argv": sys.argv, "path": sys.path[0], "name": __name__, "file": __file__,
        "spec": __spec__ and __spec__.name, "package": __package__, "main": main.work is work,
        "siox": [socketio.AsyncServer.__module__.partition(".")[0], Server.__module__.partition(".")[0]],
        "flags": sys.flags.dev_mode,
    }))
"""


def test_a_program_runs_under_it_as_under_python(tmp_path: Path) -> None:
    package = tmp_path / "tool"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(PROGRAM)
    for line in (["tool/__main__.py", "-x", "a b"], ["-m", "tool", "-x", "a b"]):
        told = [python(*how, *line, cwd=tmp_path) for how in ([], ["-m", "siox.compat"])]
        assert [each.stderr for each in told] == ["", ""]
        plain, ours = (eval(each.stdout, {"true": True, "false": False, "null": None}) for each in told)
        assert (plain.pop("siox"), ours.pop("siox")) == (["socketio"] * 2, ["siox"] * 2)
        assert plain == ours


def test_a_program_that_names_siox_has_the_libraries_beside_it_on_siox_too(tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text("import socketio\n")
    text = """
import siox.compat.socketio as socketio
import library
assert library.socketio.AsyncServer is socketio.AsyncServer
"""
    ran = python("-m", "siox.compat", "-c", text, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_what_cannot_be_run_is_said(tmp_path: Path) -> None:
    for line, said in (
        ([], "usage: python -m siox.compat script.py"),
        (["gone.py"], "there is no file 'gone.py'"),
        (["-m", "gone"], "No module named gone"),
        (["-q"], "-q is not known here; options of Python stand before -m siox.compat"),
    ):
        ran = python("-m", "siox.compat", *line, cwd=tmp_path)
        assert (ran.returncode != 0, said in ran.stderr, "Traceback" in ran.stderr) == (True, True, False)


def test_without_python_socketio_the_variable_says_one_sentence_and_no_more(tmp_path: Path) -> None:
    text = f"""
exec(open({str(HOME / "siox_compat.pth")!r}).read())
import sys
sys.path = [entry for entry in sys.path if "site-packages" not in entry]
try:
    import socketio
except ModuleNotFoundError as error:
    print(error)
"""
    ran = python("-c", text, cwd=tmp_path, SIOX_COMPAT="1")
    assert ran.stdout == "No module named 'socketio'\n"
    assert ran.stderr.startswith("siox: python-socketio is not installed")
    assert len(ran.stderr.splitlines()) == 1
