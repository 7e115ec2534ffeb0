"""Serves the ASGI applications of this folder by uvicorn, where the options of a test say."""

import asyncio
import ssl
from typing import Any

import uvicorn


async def serve_asgi(app: Any, options: dict[str, Any]) -> int | None:
    """Serve until the process ends; return the port, None of a Unix socket."""
    tls = options.get("tls") or {}
    config = uvicorn.Config(
        app,
        port=options.get("port", 0),
        uds=options.get("uds"),
        log_level="warning",
        lifespan="off",
        ws="websockets-sansio",
        ssl_keyfile=tls.get("key"),
        ssl_certfile=tls.get("cert"),
        ssl_ca_certs=tls.get("ca"),
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls.get("ca") else ssl.CERT_NONE,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            raise SystemExit("uvicorn does not start")
        await asyncio.sleep(0.005)
    if options.get("uds"):
        return None
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port
