"""An auction on Flask: Flask's session says who bids, and a thread counts the seconds down.

python examples/flask_auction.py [PORT]
gunicorn -w 1 --threads 8 --chdir examples flask_auction:web
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import flask

import siox
import siox.sync

TICK = 0.2
"""Seconds between two looks at the clock."""
PAGE = """<!doctype html><title>Auction</title>
<form method="post" action="/login"><input name="name" placeholder="Your name"><button>Come in</button></form>
<p id="state">Nothing is offered.</p>
<button onclick="socket.emit('offer', prompt('What is it?'), 20)">Offer something</button>
<button onclick="socket.emit('bid', best + 1, alertError)">Bid</button>
<script src="https://cdn.socket.io/4.8.4/socket.io.min.js"></script>
<script>
  const socket = io();
  let best = 0;
  const alertError = (answer) => answer.error && alert(answer.error.message);
  const show = (text) => (document.getElementById("state").textContent = text);
  socket.on("state", (item, bidder, amount, left) => {
    best = amount;
    show(`${item}: ${amount} by ${bidder ?? "nobody"}, ${left} s left`);
  });
  socket.on("sold", (item, bidder, amount) => show(`${item} goes to ${bidder ?? "nobody"} for ${amount}.`));
  socket.on("connect_error", (error) => show(error.message));
</script>
"""

web = flask.Flask(__name__)
web.secret_key = "known to everybody who reads this"
io = siox.sync.Server()
web.wsgi_app = io.wsgi(web.wsgi_app)  # type: ignore[method-assign]
lock = threading.Lock()
auction: Auction | None = None


class Auction:
    """One thing that is offered, until its time is over."""

    def __init__(self, item: str, seconds: float) -> None:
        self.item = item
        self.bidder: str | None = None
        self.amount = 0
        self.end = time.monotonic() + seconds

    def run(self) -> None:
        """Count down. It is a thread of its own: `emit` works from anywhere."""
        global auction
        while (left := self.end - time.monotonic()) > 0:
            io.emit("state", self.item, self.bidder, self.amount, round(left))
            time.sleep(min(left, TICK))
        with lock:
            auction = None
        io.emit("sold", self.item, self.bidder, self.amount)


@web.get("/")
def page() -> str:
    """What people see."""
    return PAGE


@web.post("/login")
def login() -> Any:
    """An ordinary form, into Flask's session."""
    flask.session["name"] = flask.request.form["name"]
    return flask.redirect("/")


@io.use
def only_who_came_in(socket: siox.sync.Socket) -> None:
    """The request that opened the connection is a request of Flask's like any other."""
    with web.request_context(socket.handshake.environ):
        name = flask.session.get("name")
    if name is None:
        raise siox.RefusedError("say your name first")
    socket.data["name"] = name


@io.event("offer")
def offer(socket: siox.sync.Socket, item: str, seconds: float) -> None:
    """Begin, unless another auction runs."""
    global auction
    with lock:
        if auction is not None:
            raise siox.EventError(f"{auction.item} is offered already")
        auction = Auction(item, seconds)
        threading.Thread(target=auction.run, daemon=True).start()


@io.event("bid")
def bid(socket: siox.sync.Socket, amount: int) -> dict[str, Any]:
    """Be the highest bidder, from now on or not."""
    with lock:
        if auction is None or amount <= auction.amount:
            raise siox.EventError("that is too little or too late")
        auction.bidder, auction.amount = socket.data["name"], amount
        return {"item": auction.item, "amount": amount}


if __name__ == "__main__":
    web.run(port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
