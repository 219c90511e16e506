"""How long the queues were during the last day: a row a queue and minute, for the charts of the queue's pages."""

from django.db import models


class QueueSample(models.Model):
    """One queue at one minute."""

    at = models.DateTimeField()
    queue = models.CharField(max_length=40)
    depth = models.PositiveIntegerField(help_text="Jobs that waited.")
    oldest_seconds = models.PositiveIntegerField(default=0, help_text="How long the oldest had waited.")
    running = models.PositiveIntegerField(default=0)
    workers = models.PositiveIntegerField(default=0, help_text="Living workers that serve it.")

    class Meta:
        ordering = ("at",)
        constraints = [models.UniqueConstraint(fields=["at", "queue"], name="queue_sample_once_a_minute")]

    def __str__(self) -> str:
        return f"{self.queue} at {self.at}"
