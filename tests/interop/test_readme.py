"""The README's server and clients run as they are printed, but for the port."""

from __future__ import annotations

import asyncio
import re
import socket as sockets
import sys
from pathlib import Path

import pytest
from peers import HERE, NODE

README = (HERE.parents[1] / "README.md").read_text(encoding="utf-8")


def block(language: str, number: int = 0) -> str:
    """A code block of a language."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return found[number]


def test_they_are_as_short_as_promised() -> None:
    def lines(code: str) -> int:
        return sum(1 for line in code.splitlines() if line.strip())

    assert lines(block("python")) <= 12
    assert lines(block("js")) <= 6


@pytest.mark.node
@pytest.mark.timeout(60)
async def test_server_and_client_run_as_printed(tmp_path: Path) -> None:
    with sockets.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    server = tmp_path / "server.py"
    server.write_text(block("python").replace("3000", port), encoding="utf-8")
    code = block("js").replace("3000", port)
    one = await asyncio.create_subprocess_exec(sys.executable, str(server))
    clients = []
    try:
        await listening(int(port))
        for _ in range(2):
            clients.append(
                await asyncio.create_subprocess_exec(
                    str(NODE),
                    "--input-type=module",
                    "-e",
                    code,
                    cwd=HERE,
                    stdout=asyncio.subprocess.PIPE,
                )
            )
            output = clients[-1].stdout
            assert output is not None
            assert (await asyncio.wait_for(output.readline(), 10)).decode().strip() == "{ status: 'ok' }"
        first = clients[0].stdout
        assert first is not None
        assert (await asyncio.wait_for(first.readline(), 10)).decode().strip() == "updated 1 { name: 'new' }"
        program = tmp_path / "client.py"
        program.write_text(block("python", 1).replace("3000", port), encoding="utf-8")
        clients.append(
            await asyncio.create_subprocess_exec(
                sys.executable, "-u", str(program), stdout=asyncio.subprocess.PIPE
            )
        )
        output = clients[-1].stdout
        assert output is not None
        assert (await asyncio.wait_for(output.readline(), 10)).decode().strip() == "{'status': 'ok'}"
        # The others hear of it, and it of what others do.
        assert (await asyncio.wait_for(first.readline(), 10)).decode().strip() == "updated 1 { name: 'new' }"
    finally:
        for process in [*clients, one]:
            process.terminate()
            await process.wait()


async def listening(port: int) -> None:
    """Wait until something listens."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
