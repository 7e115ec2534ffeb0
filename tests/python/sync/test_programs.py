"""Programs with a blocking server: signals, the end of the program, forks."""

from __future__ import annotations

import inspect
import re
import signal
import time
from pathlib import Path

import pytest
from place import eventually
from programs import run, running

import siox
import siox.sync
from waiting import PATIENCE

SERVER = """
import logging, sys, threading, time
import siox.sync
logging.basicConfig(format="%(message)s", level=logging.WARNING)
io = siox.sync.Server(close_timeout=5)
begun = threading.Event()
io.event("add", lambda socket, a, b: a + b)
io.on("disconnect", lambda socket, reason: print("left:", reason, flush=True))
@io.event
def work(socket, seconds):
    print("begun", flush=True)
    time.sleep(seconds)
    return "done"
io.run(port=0, on_listening=lambda listener: print(listener.url, flush=True))
print("over", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_closes_and_lets_handlers_answer(number: signal.Signals) -> None:
    answers: list[object] = []
    with running(SERVER) as program:
        client = siox.sync.connect(program.url, wait=PATIENCE, reconnection=False)
        assert client.emit_with_ack("add", 1, 2) == 3
        client.emit("work", 0.3, answers.append)
        assert program.line() == "begun"
        program.process.send_signal(number)
        assert program.line() == "left: server shutting down"
        assert program.line() == "over"
        assert program.end() == (0, "")
    eventually(lambda: answers == ["done"])
    client.disconnect()


def test_the_second_signal_ends_the_process_at_once() -> None:
    with running(SERVER) as program:
        client = siox.sync.connect(program.url, wait=PATIENCE, reconnection=False)
        client.emit("work", 1000)
        assert program.line() == "begun"
        program.process.send_signal(signal.SIGINT)
        eventually(lambda: not _accepts(program.url))  # it closes
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == (-signal.SIGTERM, "")
    client.disconnect()


def _accepts(url: str) -> bool:
    try:
        siox.sync.connect(url, wait=1, force_new=True, reconnection=False).disconnect()
    except siox.ConnectError:
        return False
    return True


def test_a_port_that_is_taken_is_one_sentence_and_a_status() -> None:
    program = """
    import logging, sys
    import siox.sync
    logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.ERROR)
    with siox.sync.Server() as io:
        port = io.listen(port=0).port
        try:
            siox.sync.Server().run(port=port)
        except SystemExit as error:
            print("status", error.code)
    """
    sentence, status = run(program).splitlines()
    assert sentence.endswith("is taken by another program: stop that, or choose another port")
    assert status == "status 1"


def test_a_program_ends_with_clients_connected_and_handlers_at_work() -> None:
    program = """
    import threading, time
    import siox.sync
    io = siox.sync.Server()
    begun = threading.Event()
    @io.event
    def stuck(socket):
        begun.set()
        time.sleep(1000)
    @io.on("connection")
    def connection(socket):
        socket.wait()
    io.on("disconnect", lambda socket, reason: None)
    url = io.listen(port=0).url
    clients = [siox.sync.connect(url, wait=5, force_new=True) for _ in range(3)]
    clients[0].emit("stuck")
    print("end")
    """
    began = time.monotonic()
    assert run(program) == "end\n"
    assert time.monotonic() - began < PATIENCE


def test_what_waits_after_the_goodbye_is_told_and_does_not_hang() -> None:
    program = """
    import atexit
    def late():  # the first to be registered is the last to be called
        try:
            client.emit_with_ack("add", 1, 2)
        except siox.UsageError as error:
            print(error)
        client.emit("add", 1, 2)
    atexit.register(late)
    import siox.sync
    io = siox.sync.Server()
    io.event("add", lambda socket, a, b: a + b)
    client = siox.sync.connect(io.listen(port=0).url, wait=5)
    print(client.emit_with_ack("add", 1, 2))
    """
    assert run(program) == "3\nthe program ends, and siox has said goodbye: nothing comes any more\n"


def test_ctrl_c_ends_a_wait_and_leaves_the_with() -> None:
    program = """
    import threading, time
    import siox.sync
    def tell(socket):
        while socket._own is None:
            time.sleep(0.005)
        print("waiting", flush=True)
    with siox.sync.Server() as io:
        print(io.listen(port=0).url, flush=True)
        client = siox.sync.connect(io.listen(port=0).url, wait=5)
        (socket,) = io.sockets.values()
        threading.Thread(target=tell, args=(socket,)).start()
        socket.wait_for("never")
    """
    with running(program) as program_:
        assert program_.line() == "waiting"
        program_.process.send_signal(signal.SIGINT)
        status, complaints = program_.end()
    assert status == -signal.SIGINT
    assert complaints.rstrip().endswith("KeyboardInterrupt")


def test_forks_of_a_server_that_has_not_begun_serve_each_for_itself() -> None:
    program = """
    import os, signal, sys, warnings
    import siox.sync
    warnings.simplefilter("ignore")
    io = siox.sync.Server()
    io.event("pid", lambda socket: os.getpid())
    def serve():
        url = io.listen(port=0).url
        client = siox.sync.connect(url, wait=5)
        assert client.emit_with_ack("pid") == os.getpid()
        client.disconnect()
        io.close()
    children = []
    for _ in range(2):
        pid = os.fork()
        if not pid:
            serve()
            os._exit(7)
        children.append(pid)
    for pid in children:
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    serve()
    print("and the parent")
    """
    assert run(program) == "7\n7\nand the parent\n"


def test_a_fork_of_a_server_at_work_begins_anew_and_leaves_the_parents_clients_alone() -> None:
    program = """
    import os, sys, warnings
    import siox.sync
    warnings.simplefilter("ignore")
    io = siox.sync.Server()
    io.event("pid", lambda socket: os.getpid())
    @io.event
    def fork(socket):
        pid = os.fork()  # in a thread of the pool, while others wait
        if not pid:
            assert io.sockets == {}
            client = siox.sync.connect(io.listen(port=0).url, wait=5, force_new=True)
            assert client.emit_with_ack("pid") == os.getpid()
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    client = siox.sync.connect(io.listen(port=0).url, wait=5)
    print(client.emit_with_ack("fork"))
    print(client.emit_with_ack("pid") == os.getpid())
    """
    assert run(program) == "7\nTrue\n"


PAGE = Path(__file__).parents[3] / "docs" / "sync.md"
TOLD = "io.run(port=0, on_listening=lambda listener: print(listener.url, flush=True))"


def examples(text: str) -> list[str]:
    """The servers among the code in a text."""
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return [code.replace("io.run(port=3000)", TOLD) for code in found if "io.run(" in code]


def test_the_examples_run_as_printed() -> None:
    (page,) = examples(PAGE.read_text())
    (module,) = examples(inspect.getdoc(siox.sync) or "")
    (server,) = examples(inspect.getdoc(siox.sync.Server) or "")
    for code, event, answer in (
        (page, "update item", {"status": "ok"}),
        ("import siox.sync\n" + module, "update item", {"status": "ok"}),
        ("import siox.sync\n" + server, "hello", "welcome"),
    ):
        with running(code) as program:
            client = siox.sync.connect(program.url, wait=PATIENCE, ack_timeout=PATIENCE, reconnection=False)
            client.on("what is your name", lambda: "Ada")
            assert client.emit_with_ack(event, "1", {"name": "new"}) == answer
            program.process.send_signal(signal.SIGTERM)
            assert program.end() == (0, "")
            client.disconnect()
