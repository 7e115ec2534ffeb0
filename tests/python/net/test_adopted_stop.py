"""What uvicorn still knows of the sockets that it gave away: it counts them, and stops them."""

from __future__ import annotations

import asyncio

import pytest

import siox
from serving_uvicorn import POLLING, adopted, check_echo, echoing, serve
from waiting import eventually


async def test_limit_concurrency_counts_what_was_given(http: str) -> None:
    io = echoing()
    async with serve(io.asgi(), http=http, limit_concurrency=3) as served:
        clients = [await served.join() for _ in range(2)]
        asking = await served.open()
        assert (await asking.ask("GET", POLLING)).status == 503
        clients[0].close()
        await eventually(lambda: len(served.connections) == 1)
        asking = await served.open()
        assert (await asking.ask("GET", POLLING)).status == 200
        asking.close()
        clients[1].close()
    await io.close()


@pytest.mark.parametrize("lifespan", ["on", "off"])
async def test_uvicorn_s_stop_ends_what_was_given_and_waits_for_it(http: str, lifespan: str) -> None:
    io = echoing()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    async with serve(io.asgi(), http=http, lifespan=lifespan) as served:
        clients = [await served.join() for _ in range(3)]
        served.server.should_exit = True
        codes = await asyncio.gather(*(client.close_code() for client in clients))
        assert codes == [1005] * 3
        assert len(served.connections) == 3, "it waits for the peers to hang up"
        for client in clients:
            client.close()
    assert reasons == ["server shutting down"] * 3
    assert not served.connections
    assert io.stats()["sessions"] == 0


async def test_a_server_that_was_stopped_serves_again_under_the_next_uvicorn() -> None:
    io = echoing()
    for _ in range(2):
        async with serve(io.asgi()) as served:
            client = await served.join()
            await check_echo(client)
            assert adopted(io) == 1
            served.server.should_exit = True
            assert await client.close_code() == 1005
    await io.close()


async def test_handlers_have_until_uvicorn_s_deadline() -> None:
    io = echoing()
    ends: list[str] = []

    @io.event("work")
    async def work(socket: siox.Socket, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
            ends.append("done")
        except asyncio.CancelledError:
            ends.append("cut short")

    async with serve(io.asgi(), lifespan="on", timeout_graceful_shutdown=1) as served:
        client = await served.join()
        client.frame(b'42["work",0.3]')
        client.frame(b'42["work",30]')
        await check_echo(client)
        served.server.should_exit = True
        assert await client.close_code() == 1005
        client.close()
    assert ends == ["done", "cut short"]


@pytest.mark.parametrize("seconds", [0, 100_000])
async def test_whatever_uvicorn_s_deadline_is_goodbyes_are_said(seconds: int) -> None:
    io = echoing()
    async with serve(io.asgi(), lifespan="on", timeout_graceful_shutdown=seconds) as served:
        client = await served.join()
        served.server.should_exit = True
        assert await client.close_code() == 1005


async def test_a_peer_that_does_not_hang_up_holds_nothing_up() -> None:
    io = echoing()
    async with serve(io.asgi()) as served:
        client = await served.join()
        served.server.should_exit = True
        await eventually(lambda: not served.server.started or not served.connections)
    client.close()


async def test_closing_the_siox_server_ends_what_was_given_though_uvicorn_goes_on() -> None:
    io = echoing()
    async with serve(io.asgi()) as served:
        client = await served.join()
        closing = asyncio.create_task(io.close())
        assert await client.close_code() == 1005
        client.close()
        await closing
        assert not served.connections
        again = await served.join()
        await check_echo(again)
        again.close()
    await io.close()
