"""The pages."""

from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import path

from notes.models import Note

PAGE = """<!doctype html><title>Notes</title>
<form method="post" action="/login"><input name="name" placeholder="Your name"><button>Log in</button></form>
<ul id="notes"></ul>
<form onsubmit="socket.emit('write', this.text.value); this.reset(); return false">
  <input name="text" placeholder="A note"><button>Write</button>
</form>
<script src="https://cdn.socket.io/4.8.4/socket.io.min.js"></script>
<script>
  const socket = io();
  socket.on("note", ({ author, text }) => {
    const line = document.createElement("li");
    line.textContent = `${author}: ${text}`;
    document.getElementById("notes").append(line);
  });
</script>
"""


def page(request: HttpRequest) -> HttpResponse:
    """What people see."""
    return HttpResponse(PAGE)


def log_in(request: HttpRequest) -> HttpResponse:
    """Anybody, without a password: it is an example."""
    user, _ = User.objects.get_or_create(username=request.POST["name"])
    login(request, user)
    return redirect("/")


def count(request: HttpRequest) -> JsonResponse:
    """An ordinary view, beside the sockets."""
    return JsonResponse({"notes": Note.objects.count()})


urlpatterns = [path("", page), path("login", log_in), path("count", count)]
