"""What the package promises to type checkers."""

import subprocess
import sys
from pathlib import Path

import pytest

USAGE = Path(__file__).with_name("usage.py")


@pytest.mark.timeout(120)
def test_programs_that_use_siox_pass_mypy_strict(tmp_path: Path) -> None:
    # Away from the repository: the installed package must say that it is typed.
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(USAGE)]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.stdout == "Success: no issues found in 1 source file\n", checked.stdout + checked.stderr
