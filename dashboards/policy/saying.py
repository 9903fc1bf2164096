"""What the last click did, told by the next page as a toast."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest

from dashboards.policy import desk
from dashboards.shell import Context
from dashboards.wording import plural


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


def say_published(request: HttpRequest, text: str, *, seen: Context) -> None:
    """What is in force now, and who is about to be told; ``seen`` was before that."""
    environment, rollout = seen["environment"], seen["rollout"]
    latest = desk.versions(seen["scope"].project_id, environment, limit=1)
    if not latest:
        say(request, text, "Services get it when they first ask.")
        return
    number = latest[0].number
    if number == rollout["version"]:
        say(request, text, f"Nothing is different for {environment}: v{number} stays.")
        return
    running = plural(rollout["total"], "instance")
    more = f"on its way to {running}" if rollout["total"] else "in force, and none runs"
    say(request, text, f"v{number} is {more}", version=number)
