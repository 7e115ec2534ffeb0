"""Socket.IO beside the views: Django's sessions let in, its ORM keeps, its signals emit."""

import functools
from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.wsgi import WSGIRequest
from django.db import close_old_connections, transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

import siox
import siox.sync
from notes.models import Note

io = siox.sync.Server()


def with_database(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Do around a handler what Django does around a request: the thread that it runs on lives on."""

    @functools.wraps(handler)
    def call(*values: Any) -> Any:
        close_old_connections()
        try:
            return handler(*values)
        finally:
            close_old_connections()

    return call


@io.use
@with_database
def only_who_is_logged_in(socket: siox.sync.Socket) -> None:
    """The request that opened the connection is a request of Django's like any other."""
    request = WSGIRequest(socket.handshake.environ)
    SessionMiddleware(lambda request: None).process_request(request)
    user = get_user(request)
    if not user.is_authenticated:
        raise siox.RefusedError("log in first")
    socket.data["user"] = user


@io.on("connection")
@with_database
def connection(socket: siox.sync.Socket) -> None:
    """Show what there is."""
    socket.join("readers")
    for note in Note.objects.select_related("author").order_by("-written")[:20][::-1]:
        socket.emit("note", as_dict(note))


@io.event("write")
@with_database
def write(socket: siox.sync.Socket, text: str) -> int:
    """Keep a note; the signal below tells the others."""
    return Note.objects.create(author=socket.data["user"], text=text).pk


@receiver(post_save, sender=Note)
def saved(instance: Note, created: bool, **_: Any) -> None:
    """Whoever saves a note, a view, a handler or the shell of this process, everybody sees it."""
    if created:
        transaction.on_commit(lambda: io.to("readers").emit("note", as_dict(instance)))


def as_dict(note: Note) -> dict[str, Any]:
    """What clients get; a time travels as ISO 8601."""
    return {"id": note.pk, "author": note.author.username, "text": note.text, "written": note.written}
