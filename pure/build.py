"""`python pure/build.py dist`: write the wheel without the Rust core."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHARED = (
    "_siox_compat/__init__.py",
    "_siox_compat/__main__.py",
    "siox/compat/__init__.py",
    "siox/compat/__main__.py",
    "siox/compat/_versions.py",
    "siox/py.typed",
    "siox_compat.pth",
)
"""What both wheels have, below python/."""
WHEEL = "Wheel-Version: 1.0\nGenerator: siox\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
DATE = (1980, 1, 1, 0, 0, 0)


def main(folder: Path) -> Path:
    """Write the wheel into a folder and return its path."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    info = f"siox-{version}.dist-info"
    files = {name: (ROOT / "python" / name).read_bytes() for name in SHARED}
    for place in sorted((ROOT / "pure" / "siox").rglob("*.py")):
        files[place.relative_to(ROOT / "pure").as_posix()] = place.read_bytes()
    files[f"{info}/METADATA"] = metadata(project, version).encode()
    files[f"{info}/WHEEL"] = WHEEL.encode()
    files[f"{info}/licenses/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"siox-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), data)
    return wheel


def metadata(project: dict[str, Any], version: str) -> str:
    """Return METADATA: that of the binary wheel, as far as it holds here."""
    head = {
        "Metadata-Version": "2.4",
        "Name": project["name"],
        "Version": version,
        "Summary": f"{project['description']}; this wheel has no core and passes python-socketio through",
        "License-Expression": project["license"],
        "License-File": "LICENSE",
        "Requires-Python": project["requires-python"],
    }
    lines = [f"{key}: {value}" for key, value in head.items()]
    for extra, needs in project["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [
            f"Requires-Dist: {need}; extra == '{extra}'"
            for need in needs
            if re.match("python-socketio", need)
        ]
    return "\n".join(lines) + "\n"


def digest(data: bytes) -> str:
    """Return a file's digest as RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    print(main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")))
