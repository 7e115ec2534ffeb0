"""A Task whose first step runs at once passes every check that an ordinary Task passes."""

import asyncio
import contextvars
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from siox._tasks import task_starter

uvloop = pytest.importorskip("uvloop")

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(params=list(LOOPS))
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner


def run_as_callback(runner: asyncio.Runner, act: Callable[[], Any]) -> Any:
    """Call `act` from a plain callback of the loop, as the engine's reader does, and wait for its task."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        made = loop.create_future()

        def callback() -> None:
            try:
                made.set_result(act())
            except BaseException as error:
                made.set_exception(error)

        loop.call_soon(callback)
        task = await made
        return await task if isinstance(task, asyncio.Task) else task

    return runner.run(main())


def start(coroutine: Any) -> asyncio.Task[Any]:
    return task_starter(asyncio.get_running_loop())(coroutine)


def test_a_handler_that_does_not_wait_is_done_when_start_returns(runner: asyncio.Runner) -> None:
    async def handler() -> int:
        return 7

    def act() -> int:
        task = start(handler())
        assert task.done()
        return int(task.result())

    assert run_as_callback(runner, act) == 7


def test_the_first_step_runs_inside_start(runner: asyncio.Runner) -> None:
    steps: list[str] = []

    async def handler() -> None:
        steps.append("first")
        await asyncio.sleep(0)
        steps.append("second")

    def act() -> asyncio.Task[Any]:
        task = start(handler())
        assert steps == ["first"]
        assert not task.done()
        return task

    run_as_callback(runner, act)
    assert steps == ["first", "second"]


def test_current_task_is_the_handlers_task_in_every_step(runner: asyncio.Runner) -> None:
    seen: list[Any] = []

    async def handler() -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    def act() -> asyncio.Task[Any]:
        seen.append(asyncio.current_task())
        task = start(handler())
        seen.append(asyncio.current_task())
        seen.append(task)
        return task

    run_as_callback(runner, act)
    before, first, between, task, second = seen
    assert before is None
    assert between is None
    assert first is task
    assert second is task


def test_all_tasks_lists_it_while_it_runs(runner: asyncio.Runner) -> None:
    listed: list[bool] = []

    async def handler() -> None:
        listed.append(asyncio.current_task() in asyncio.all_tasks())
        await asyncio.sleep(0)
        listed.append(asyncio.current_task() in asyncio.all_tasks())

    run_as_callback(runner, lambda: start(handler()))
    assert listed == [True, True]


def test_timeout_works_in_the_first_step(runner: asyncio.Runner) -> None:
    async def handler() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        except TimeoutError:
            return "timed out"
        return "slept"

    assert run_as_callback(runner, lambda: start(handler())) == "timed out"


def test_a_task_group_works_in_the_first_step(runner: asyncio.Runner) -> None:
    async def child(value: int) -> int:
        await asyncio.sleep(0)
        return value

    async def handler() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child(value)) for value in range(3)]
        return [task.result() for task in tasks]

    assert run_as_callback(runner, lambda: start(handler())) == [0, 1, 2]


def test_a_failing_task_group_cancels_the_others(runner: asyncio.Runner) -> None:
    async def fails() -> None:
        raise ValueError("child")

    async def handler() -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                await asyncio.sleep(10)
        except ExceptionGroup as group_error:
            return str(group_error.exceptions)
        return "not cancelled"

    assert run_as_callback(runner, lambda: start(handler())) == "(ValueError('child'),)"


def test_context_variables_stay_inside(runner: asyncio.Runner) -> None:
    variable = contextvars.ContextVar("variable", default="outside")
    seen: list[str] = []

    async def handler(value: str) -> None:
        seen.append(variable.get())
        variable.set(value)
        await asyncio.sleep(0)
        seen.append(variable.get())

    def act() -> asyncio.Task[Any]:
        first = start(handler("one"))
        seen.append(variable.get())
        second = start(handler("two"))

        async def both() -> None:
            await first
            await second

        return start(both())

    run_as_callback(runner, act)
    assert seen == ["outside", "outside", "outside", "one", "two"]


def test_starts_nest(runner: asyncio.Runner) -> None:
    order: list[Any] = []

    async def inner() -> None:
        order.append(("inner", asyncio.current_task() is not None))
        await asyncio.sleep(0)

    async def outer() -> None:
        mine = asyncio.current_task()
        child = start(inner())
        order.append(("same task", asyncio.current_task() is mine, child is not mine))
        await child
        assert asyncio.current_task() is mine
        async with asyncio.timeout(1):
            await asyncio.sleep(0)

    run_as_callback(runner, lambda: start(outer()))
    assert order == [("inner", True), ("same task", True, True)]


def test_a_nested_start_that_raises_gives_the_outer_task_back(runner: asyncio.Runner) -> None:
    async def inner() -> None:
        raise SystemExit(3)

    async def outer() -> bool:
        mine = asyncio.current_task()
        with pytest.raises(SystemExit):
            start(inner())
        return asyncio.current_task() is mine

    runner.get_loop().set_exception_handler(lambda loop, context: None)
    assert run_as_callback(runner, lambda: start(outer())) is True
    gc.collect()


def test_a_task_may_cancel_itself_in_its_first_step(runner: asyncio.Runner) -> None:
    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    def act() -> asyncio.Task[Any]:
        task = start(handler())
        assert not task.done()
        return task

    with pytest.raises(asyncio.CancelledError):
        run_as_callback(runner, act)


def test_system_exit_leaves_the_call_and_the_loop_goes_on(runner: asyncio.Runner) -> None:
    async def handler() -> None:
        raise SystemExit(4)

    def act() -> str:
        with pytest.raises(SystemExit):
            start(handler())
        return "still here"

    runner.get_loop().set_exception_handler(lambda loop, context: None)
    assert run_as_callback(runner, act) == "still here"
    gc.collect()


def test_an_ordinary_error_stays_in_the_task(runner: asyncio.Runner) -> None:
    async def handler() -> None:
        raise ValueError("mine")

    def act() -> BaseException | None:
        return start(handler()).exception()

    assert isinstance(run_as_callback(runner, act), ValueError)


def test_the_loops_task_factory_is_honoured(runner: asyncio.Runner) -> None:
    made: list[Any] = []

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def handler() -> str:
        return "made by the factory"

    def act() -> asyncio.Task[Any]:
        asyncio.get_running_loop().set_task_factory(factory)
        return start(handler())

    assert run_as_callback(runner, act) == "made by the factory"
    assert len(made) == 1


def test_call_soon_is_the_loops_own_again(runner: asyncio.Runner) -> None:
    called: list[str] = []

    async def handler() -> None:
        asyncio.get_running_loop().call_soon(called.append, "from the first step")
        await asyncio.sleep(0)

    run_as_callback(runner, lambda: start(handler()))
    assert called == ["from the first step"]
    assert "call_soon" not in getattr(runner.get_loop(), "__dict__", {})


def test_a_finished_task_is_freed_without_the_collector(runner: asyncio.Runner) -> None:
    async def handler() -> None:
        return None

    def act() -> bool:
        reference = weakref.ref(start(handler()))
        return reference() is None

    gc.disable()
    try:
        assert run_as_callback(runner, act)
    finally:
        gc.enable()
