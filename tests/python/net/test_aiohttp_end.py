"""The life of a server in an aiohttp application: it begins, ends and begins again with it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

import siox
from raw import Connection
from serving_aiohttp import POLLING, Served, attached, serve
from serving_uvicorn import check_echo, echoing
from waiting import eventually

Warned = Callable[[], list[str]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def crowd(served: Served, count: int) -> list[Connection]:
    """So many clients, half of them on websockets, half waiting in a poll."""
    clients = [await served.join() for _ in range(count // 2)]
    for _ in range(count // 2):
        client, query = await served.polling()
        client.request("GET", query)
        clients.append(client)
    return clients


async def test_a_hundred_clients_do_not_hold_up_the_end(way: str) -> None:
    io = echoing()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    async with serve(attached(io), shutdown_timeout=60) as served:
        clients = await crowd(served, 100)
        # A request that is not read when aiohttp's end begins is not read any more.
        await eventually(lambda: served.requests == 50 + 50 * 4)
        ends = [asyncio.create_task(client.close_code()) for client in clients[:50]]
        polls = [asyncio.create_task(client.response()) for client in clients[50:]]

        async def go(end: asyncio.Task[int], client: Connection) -> None:
            await end
            client.frame(b"\x03\xe8", opcode=8)
            client.close()

        going = [asyncio.create_task(go(end, client)) for end, client in zip(ends, clients[:50], strict=True)]
        async with asyncio.timeout(10):  # aiohttp's own patience is 60 s
            await served.runner.cleanup()
        await asyncio.gather(*going)
        assert {await end for end in ends} <= {1000, 1005}
        assert {(await poll).status for poll in polls} == {200}
    assert reasons == ["server shutting down"] * 100


async def test_peers_that_do_not_answer_hold_nothing_up(way: str) -> None:
    io = echoing()
    async with serve(attached(io), shutdown_timeout=60) as served:
        for _ in range(3):
            await served.join()
        async with asyncio.timeout(10):
            await served.runner.cleanup()
    assert io.stats()["sessions"] == 0


async def test_who_comes_while_it_ends_is_sent_away() -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    @web.middleware
    async def slowly(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun.set()
        await may_go_on.wait()
        return await handler(request)

    io = echoing()
    async with serve(attached(io, slowly), shutdown_timeout=60) as served:
        client = await served.open()
        client.request("GET", POLLING)
        await begun.wait()
        ending = asyncio.create_task(served.runner.cleanup())
        await asyncio.sleep(0.05)
        may_go_on.set()
        assert (await client.response()).status == 503
        async with asyncio.timeout(10):
            await ending
    assert io.stats()["sessions_opened"] == 0


async def test_a_server_serves_again_in_the_next_application() -> None:
    io = echoing()
    for _ in range(2):
        async with serve(attached(io)) as served:
            await check_echo(await served.join())


async def test_it_begins_with_the_application_and_ends_though_another_part_fails() -> None:
    io = siox.Server()

    async def broken(app: web.Application) -> None:
        io.emit("there is nobody yet")
        raise RuntimeError("no database")

    app = attached(io)
    app.on_startup.append(broken)
    runner = web.AppRunner(app)
    with pytest.raises(RuntimeError, match="no database"):
        await runner.setup()
    await runner.cleanup()
    assert io._dispatcher.attached_to is None


async def test_nothing_of_aiohttp_s_is_kept_for_sockets_that_are_gone() -> None:
    io = echoing()
    others = {id(each) for each in living_requests()}
    async with serve(attached(io)) as served:
        clients = [await served.join() for _ in range(3)]
        assert len([each for each in living_requests() if id(each) not in others]) == 3
        for client in clients:
            client.close()
        await eventually(lambda: not io.stats()["sessions"])
        assert not [each for each in living_requests() if id(each) not in others]


def living_requests() -> list[web.Request]:
    """Those of this process; other tests may have left some in what pytest keeps."""
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is web.Request]
