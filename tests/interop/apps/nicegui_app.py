"""A page of NiceGUI's that counts clicks for everybody who looks at it: `python nicegui_app.py PORT`."""

from __future__ import annotations

import sys

from nicegui import app, core, ui

state = {"clicks": 0, "gone": 0}


@ui.page("/")
def page() -> None:
    """Each visitor has elements of his own; the label shows what all of them did."""
    ui.label().bind_text_from(state, "clicks", lambda clicks: f"{clicks} clicks").classes("clicks")
    ui.button("Click", on_click=click)
    entry = ui.input("Name").classes("name")
    ui.label().bind_text_from(entry, "value", lambda name: f"Hello {name}!").classes("greeting")
    ui.button("Ask", on_click=ask)


def click() -> None:
    """One more, for all."""
    state["clicks"] += 1


async def ask() -> None:
    """Asks the browser, which answers with an event."""
    ui.label(await ui.run_javascript("return 6 * 7", timeout=5)).classes("answer")


@app.on_disconnect
def gone() -> None:
    """A tab was closed."""
    state["gone"] += 1


@app.get("/about")
def about() -> dict[str, str | int]:
    """What drives the page, and what happened."""
    return {"server": type(core.sio).__module__, **state}


if __name__ == "__main__":
    ui.run(host="127.0.0.1", port=int(sys.argv[1]), reload=False, show=False, reconnect_timeout=3)
