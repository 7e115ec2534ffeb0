"""What a WSGI server serves: Socket.IO below /socket.io/, and Django."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notes.settings")
django = get_wsgi_application()

from notes.sockets import io  # noqa: E402 (models can be imported once Django is set up)

application = io.wsgi(django)
