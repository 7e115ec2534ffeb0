"""`siox demo`: the chat."""

from __future__ import annotations

from pathlib import Path

import click

from siox.demo.app import create_server

CLIENT = Path("node_modules/socket.io-client/dist")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3000, show_default=True, help="Port to listen on; 0 takes any.")
@click.option(
    "--client",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the official JavaScript client. Default: ./node_modules/socket.io-client/dist, "
    "or cdn.socket.io where that is absent.",
)
def demo(host: str, port: int, client: Path | None) -> None:
    """Start a small chat; open it in two tabs."""
    if client is None and CLIENT.is_dir():
        client = CLIENT
    create_server(client).run(
        host=host,
        port=port,
        on_listening=lambda listener: click.echo(f"siox chat, open it in two tabs: {listener.url}/"),
    )
