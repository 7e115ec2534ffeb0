"""`siox run module:name`: serve an application."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import traceback
from pathlib import Path

import click

from siox.cli.reload import ENVIRONMENT, serve_and_reload
from siox.exceptions import UsageError
from siox.server import DEFAULT_HOST, DEFAULT_PORT, Server
from siox.sync import Server as SyncServer


@click.command()
@click.argument("application", metavar="MODULE:NAME")
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address; 0.0.0.0 is every one.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535))
@click.option("--reload", is_flag=True, help="Start again when a Python file below the directory changes.")
@click.option(
    "--app-dir",
    default=".",
    show_default=True,
    type=click.Path(exists=True, file_okay=False),
    help="Directory that MODULE is looked up in.",
)
def run(application: str, host: str, port: int, reload: bool, app_dir: str) -> None:
    """Serve the siox.Server, or siox.sync.Server, that MODULE:NAME names, such as `app:io`."""
    if reload and ENVIRONMENT not in os.environ:
        sys.exit(serve_and_reload(Path(app_dir)))
    if reload:
        # A terminal's Ctrl-C goes to both processes; the first one tells this one what to do.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    load(application, Path(app_dir)).run(host=host, port=port)


def load(application: str, app_dir: Path) -> Server | SyncServer:
    """Import a module and return the server in it.

    Raises:
        ClickException: one sentence that says what is wrong.
    """
    module_name, _, name = application.partition(":")
    if not module_name:
        raise click.ClickException(f"{application!r} names no module; write module:name, such as app:io")
    if module_name.endswith(".py"):
        hint = module_name.removesuffix(".py").replace("/", ".")
        raise click.ClickException(f"write the module, not its file: {hint}:{name or 'io'}")
    sys.path.insert(0, str(app_dir.resolve()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            where = app_dir.resolve()
            raise click.ClickException(
                f"there is no module {module_name!r} in {where}; --app-dir names another directory"
            ) from None
        raise _failed(module_name, error) from error
    except UsageError as error:
        raise click.ClickException(f"{module_name}: {error}") from error
    except Exception as error:
        raise _failed(module_name, error) from error
    return _find(module_name, vars(module), name)


def _find(module_name: str, names: dict[str, object], name: str) -> Server | SyncServer:
    servers = [each for each, value in names.items() if isinstance(value, (Server, SyncServer))]
    hint = f"; there is {', '.join(servers)}" if servers else "; it has no siox.Server at all"
    if not name:
        if len(servers) != 1:
            raise click.ClickException(f"say which server of {module_name!r}: {module_name}:name{hint}")
        name = servers[0]
    found: object = names.get(name)
    if name not in names:
        raise click.ClickException(f"module {module_name!r} has no {name!r}{hint}")
    if not isinstance(found, (Server, SyncServer)):
        raise click.ClickException(f"{module_name}:{name} is a {type(found).__name__}, no siox.Server{hint}")
    return found


def _failed(module_name: str, error: Exception) -> click.ClickException:
    # The frames of the import machinery tell nobody anything.
    frames = traceback.extract_tb(error.__traceback__)
    shown = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    text = "".join([*traceback.format_list(shown), *traceback.format_exception_only(error)])
    return click.ClickException(f"module {module_name!r} cannot be imported:\n{text}")
