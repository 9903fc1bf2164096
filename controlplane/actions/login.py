"""One-time log-in links, for the first start and for whoever lost a password."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from controlplane import keys
from controlplane.actions.audit import record
from controlplane.models import LoginLink

VALID_FOR = timedelta(hours=24)


@transaction.atomic
def make_login_link(user: User, *, actor: User | None) -> str:
    """A token that logs ``user`` in once, within a day."""
    now = timezone.now()
    token = secrets.token_urlsafe(24)
    LoginLink.objects.create(
        user=user,
        digest=keys.digest_of(token.encode()),
        created_at=now,
        expires_at=now + VALID_FOR,
    )
    record("login_link.made", user.get_username(), project=None, actor=actor, now=now)
    return token


@transaction.atomic
def use_login_link(token: str) -> User | None:
    """The user of an unused link; the link is used up by this."""
    now = timezone.now()
    links = LoginLink.objects.filter(digest=keys.digest_of(token.encode()))
    # The count decides: of two that click at once only one gets in.
    if not links.filter(used_at=None, expires_at__gt=now).update(used_at=now):
        return None
    user = links.select_related("user").get().user
    if not user.is_active:
        return None
    record("login_link.used", user.get_username(), project=None, actor=user, now=now)
    return user
