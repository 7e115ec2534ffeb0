"""What is kept."""

from django.contrib.auth.models import User
from django.db import models


class Note(models.Model):
    """Something that somebody wrote."""

    author = models.ForeignKey(User, on_delete=models.CASCADE)
    text = models.TextField()
    written = models.DateTimeField(auto_now_add=True)
