"""NiceGUI, which imports `socketio` itself, in two tabs of headless Chromium."""

from __future__ import annotations

import asyncio

import pytest
from peers import CHROMIUM, HERE, node
from started import Application, started


@pytest.mark.browser
@pytest.mark.timeout(90)
async def test_a_click_in_one_tab_is_seen_in_two() -> None:
    async with started("nicegui_app.py", "{port}", cwd=HERE / "apps") as application:
        about = await application.get("/about")
        assert about["server"] == "siox.compat.socketio._async_server"
        report = await node("nicegui.mjs", f"{application.url}/", str(CHROMIUM), patience=70)
        assert report["complaints"] == []
        assert report["sockets"] == 3
        assert report["loaded"] is True
        assert report["clicks"] == ["2 clicks", "2 clicks"]
        assert report["greetings"] == ["Hello Ada!", "Hello !"]
        assert report["answers"] == [[], ["42"]]
        assert report["done"] is True
        await gone(application, 3)
        assert any("siox drives" in line and "on the fast path" in line for line in application.log)


async def gone(application: Application, count: int) -> None:
    """The page learns of closed tabs, when it has waited for them to come back."""
    async with asyncio.timeout(10):
        while (await application.get("/about"))["gone"] < count:
            await asyncio.sleep(0.1)
