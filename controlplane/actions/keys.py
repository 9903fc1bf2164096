"""Make and revoke API keys. The key itself is shown once and never stored."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from controlplane import keys
from controlplane.actions.audit import record
from controlplane.models import ApiKey, KeyScope, Project


class MadeKey(NamedTuple):
    key: ApiKey
    token: str  # the only copy


@transaction.atomic
def create_key(
    project: Project,
    *,
    scopes: Iterable[str],
    actor: User | None,
    name: str = "",
    tenant: str | None = None,
    expires_at: datetime | None = None,
) -> MadeKey:
    now = timezone.now()
    prefix = f"sg_{secrets.token_hex(4)}"
    token = f"{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        project=project,
        name=name,
        prefix=prefix,
        digest=keys.digest_of(token.encode()),
        scopes=known_scopes(scopes),
        tenant=tenant or None,
        created_at=now,
        created_by=actor,
        expires_at=expires_at,
    )
    record(
        "key.created",
        prefix,
        project=project,
        actor=actor,
        now=now,
        after=described(key),
    )
    return MadeKey(key, token)


@transaction.atomic
def revoke_key(key: ApiKey, *, actor: User | None) -> bool:
    """Refuse the key from now on; False when it was revoked before."""
    now = timezone.now()
    mine = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
    if not mine:
        return False
    record("key.revoked", key.prefix, project=key.project, actor=actor, now=now)
    # Here at once; other processes look again within 5 s.
    transaction.on_commit(lambda: keys.ring.forget(key.digest))
    return True


def known_scopes(scopes: Iterable[str]) -> list[str]:
    wanted = sorted({scope.strip() for scope in scopes} - {""})
    if not wanted:
        raise ValidationError("A key needs a scope.", code="no_scope")
    if unknown := sorted(set(wanted) - set(KeyScope.values)):
        msg = f"Unknown scope {', '.join(unknown)}; known: {', '.join(KeyScope.values)}"
        raise ValidationError(msg, code="unknown_scope")
    return wanted


def described(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "scopes": key.scopes,
        "tenant": key.tenant,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }
