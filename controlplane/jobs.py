"""Declare periodic work once, next to its code; whichever runner exists runs it.

Embedded, a Celery worker in a thread of the server runs it, and nothing is durable:
a job must be idempotent and find its work in rows, so that a lost run loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Job = Callable[[], None]


class Periodic(NamedTuple):
    every: float  # seconds
    run: Job


registry: dict[str, Periodic] = {}


def periodic(*, every: float) -> Callable[[Job], Job]:
    """Run the decorated function about every so many seconds."""

    def register(job: Job) -> Job:
        registry[f"{job.__module__}.{job.__qualname__}"] = Periodic(every, job)
        return job

    return register
