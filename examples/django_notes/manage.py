"""Notes on Django: everybody who is logged in sees the others' at once.

cd examples/django_notes
python manage.py migrate --run-syncdb
python manage.py runserver
gunicorn -w 1 --threads 8 notes.wsgi
"""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notes.settings")

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
