"""The other side of the interop tests: official JavaScript clients in a Node process, steered from here."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from authority import authority_pem

HERE = Path(__file__).parent
NODE = shutil.which("node")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
PACKAGES = HERE / "node_modules"
PATHS = ("polling", "websocket", "upgrade")
PATIENCE = 15.0
"""Seconds that anything on loopback may take before the test fails."""


class JsError(Exception):
    """What the JavaScript side threw: `connect_error`, an ack timeout, a fault in the test."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error.get("message"))
        self.message: str = error.get("message", "")
        self.data: Any = error.get("data")


class Undefined:
    """JavaScript's `undefined`, which JSON does not have."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = Undefined()


def pack(value: Any) -> Any:
    """Turn a Python value into the driver's JSON."""
    if isinstance(value, bytes | bytearray):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return [pack(item) for item in value]
    if isinstance(value, dict):
        return {str(key): pack(item) for key, item in value.items()}
    return value


def unpack(value: Any) -> Any:
    """Turn the driver's JSON into Python values."""
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"$bytes"}:
            return base64.b64decode(value["$bytes"])
        if value.keys() == {"$undefined"}:
            return UNDEFINED
        return {key: unpack(item) for key, item in value.items()}
    return value


class JsDriver:
    """One Node process with any number of official clients in it."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._clients: dict[str, JsClient] = {}
        self._reader: asyncio.Task[None] | None = None
        self._last = 0

    async def __aenter__(self) -> JsDriver:
        assert NODE is not None
        self._process = await asyncio.create_subprocess_exec(
            NODE,
            str(HERE / "js" / "driver.mjs"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=64 * 1024 * 1024,
            env={**os.environ, "NODE_NO_WARNINGS": "1"},
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            if "report" in message:
                self._clients[message["client"]].reports.put_nowait(unpack(message["report"]))
                continue
            answer = self._answers.pop(message["id"])
            if answer.done():
                continue
            if "error" in message:
                answer.set_exception(JsError(unpack(message["error"])))
            else:
                answer.set_result(unpack(message["value"]))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(JsError({"message": "the Node process ended"}))

    async def call(self, op: str, *, patience: float = PATIENCE, **parameters: Any) -> Any:
        """Run one operation of the driver and give its value."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._last += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[self._last] = answer
        line = json.dumps({"id": self._last, "op": op, **parameters}) + "\n"
        self._process.stdin.write(line.encode())
        await self._process.stdin.drain()
        return await asyncio.wait_for(answer, patience)

    async def connect(
        self, url: str, path: str = "any", *, setup: str | None = None, options: dict[str, Any] | None = None
    ) -> JsClient:
        """Connect an official client; raises JsError with the reason when it is refused.

        Args:
            url: the server's address with the namespace.
            path: "polling", "websocket", "upgrade" (held until `upgrade()`), or "any".
            setup: JavaScript that runs before connecting, with `socket` and `report(...)`.
            options: the client's options; of `https` the authority is added.
        """
        trusted = {"ca": authority_pem()} if url.startswith("https:") else {}
        client = JsClient(self, f"c{len(self._clients) + 1}")
        self._clients[client.name] = client
        answer = await self.call(
            "connect",
            client=client.name,
            url=url,
            path=path,
            setup=setup,
            options=pack(trusted | (options or {})),
        )
        client.id, client.transport = answer["id"], answer["transport"]
        return client


class JsClient:
    """One official client."""

    def __init__(self, driver: JsDriver, name: str) -> None:
        self.driver, self.name = driver, name
        self.id = ""
        self.transport = ""
        self.reports: asyncio.Queue[list[Any]] = asyncio.Queue()

    async def run(self, code: str, *args: Any, patience: float = PATIENCE) -> Any:
        """Run JavaScript with `socket`, `report(...)` and `args`; gives what it returns."""
        return await self.driver.call("run", client=self.name, code=code, args=pack(args), patience=patience)

    async def next(self, patience: float = PATIENCE) -> list[Any]:
        """The next report, as a list of its arguments."""
        return await asyncio.wait_for(self.reports.get(), patience)

    async def transport_now(self) -> str:
        """The transport's name on the JavaScript side."""
        return str(await self.run("return socket.io.engine.transport.name"))

    async def upgrade(self) -> None:
        """Let the held upgrade go, and wait until the client has switched."""
        self.transport = await self.driver.call("upgrade", client=self.name)

    async def close(self) -> None:
        """Disconnect."""
        await self.driver.call("close", client=self.name)


async def node(script: str, *args: str, patience: float = 60.0) -> dict[str, Any]:
    """Run a script of tests/interop/js to its end; gives the JSON object it prints last."""
    assert NODE is not None
    process = await asyncio.create_subprocess_exec(
        NODE,
        str(HERE / "js" / script),
        *args,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_NO_WARNINGS": "1"},
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), patience)
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"{script} took over {patience} s\n{out.decode()}\n{err.decode()}") from None
    assert process.returncode == 0, (
        f"{script} ended with {process.returncode}\n{out.decode()}\n{err.decode()}"
    )
    result: dict[str, Any] = json.loads(out.decode().strip().splitlines()[-1])
    return result


async def eventually(condition: Any, patience: float = PATIENCE) -> None:
    """Wait until `condition()` holds."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.005)


async def lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of a subprocess's output."""
    while line := await stream.readline():
        yield line.decode().rstrip("\n")
