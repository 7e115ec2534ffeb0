"""Why a test of python-socketio's may be left out: what it does that no program on it does.

A reason is found in the test itself, in its class's `setup_method`, and in the decorators of both:

- it patches a name in python-socketio's or python-engineio's modules;
- it reads or sets a name with an underscore of an object that is not the test's own;
- it puts a mock in the place of a server, a manager or an Engine.IO server.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

MOCKS = {"MagicMock", "Mock", "AsyncMock", "create_autospec"}
PATCHED = ("socketio.", "engineio.", "socketio_", "engineio_")
HOSTS = {"set_server", "_set_server", "_set_client", "Middleware", "WSGIApp", "ASGIApp"}
"""Calls whose argument is a server."""
SETUPS = {"setup_method", "setup_class", "setUp", "teardown_method"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def reasons(folder: Path) -> dict[str, str]:
    """Each test under a folder, as pytest names it without its parameters, with the first reason or ""."""
    found: dict[str, str] = {}
    for file in sorted(folder.rglob("test_*.py")):
        name = file.relative_to(folder.parent).as_posix()
        for test, reason in _of_module(ast.parse(file.read_text())):
            found[f"{name}::{test}"] = reason
    return found


def _of_module(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            of_class = [*node.decorator_list, *(item for item in node.body if _name(item) in SETUPS)]
            for test in node.body:
                if isinstance(test, Function) and test.name.startswith("test"):
                    yield f"{node.name}::{test.name}", _reason([*of_class, test])
        elif isinstance(node, Function) and node.name.startswith("test"):
            yield node.name, _reason([node])


def _name(node: ast.AST) -> str:
    return node.name if isinstance(node, Function) else ""


def _reason(parts: list[ast.AST]) -> str:
    """The first of the reasons that the parts give."""
    mocks: set[str] = set()
    nodes = [node for part in parts for node in ast.walk(part)]
    for node in nodes:
        if isinstance(node, ast.Assign) and _is_mock(node.value):
            mocks.update(ast.unparse(target) for target in node.targets if isinstance(target, ast.Name))
    return next((reason for node in nodes if (reason := _of_node(node, mocks))), "")


def _of_node(node: ast.AST, mocks: set[str]) -> str:
    if isinstance(node, ast.Attribute) and _is_private(node.attr) and not _is_self(node.value):
        return f"uses {node.attr}"
    if isinstance(node, ast.Assign) and _is_mock(node.value):
        for target in node.targets:
            if isinstance(target, ast.Attribute) and not _is_self(target.value):
                return f"mocks {target.attr}"
    return _of_call(node, mocks) if isinstance(node, ast.Call) else ""


def _of_call(call: ast.Call, mocks: set[str]) -> str:
    called = ast.unparse(call.func)
    texts = [
        item.value for item in call.args if isinstance(item, ast.Constant) and isinstance(item.value, str)
    ]
    if "patch" in called.split("."):
        for text in texts:
            if _is_private(text):
                return f"patches {text}"
            if text.startswith(PATCHED):
                return f"patches {text}"
    # A manager that is a mock, and a server that is one where a server is handed over.
    for keyword in call.keywords:
        if keyword.arg == "client_manager" and _stands_in(keyword.value, mocks):
            return "mocks the manager"
    if called.split(".")[-1] in HOSTS and call.args and _stands_in(call.args[0], mocks):
        return "mocks the server"
    return ""


def _stands_in(value: ast.expr, mocks: set[str]) -> bool:
    return _is_mock(value) or ast.unparse(value) in mocks


def _is_mock(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] in MOCKS


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_self(value: ast.expr) -> bool:
    """Whether it is the test's own object."""
    return isinstance(value, ast.Name) and value.id in {"self", "cls"}
