"""What the last click did, told by the next page as a toast."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest

from dashboards.policy import desk


def say(
    request: HttpRequest,
    text: str,
    more: str = "",
    *,
    bad: bool = False,
    version: int | None = None,
) -> None:
    """``version`` is followed: the page says when all instances run it."""
    tags = ["bad"] if bad else []
    tags += [f"follow-{version}"] if version else []
    messages.info(request, f"{text}\n{more}", extra_tags=" ".join(tags))


def say_published(
    request: HttpRequest, text: str, *, project_id: int, environment: str, reached: int
) -> None:
    """What is in force now, and who is about to be told."""
    latest = desk.versions(project_id, environment, limit=1)
    if not latest:
        say(request, text, "Services get it when they first ask.")
        return
    to = f"on its way to {reached} instances" if reached else "no instance runs yet"
    say(request, text, f"v{latest[0].number} is {to}", version=latest[0].number)
