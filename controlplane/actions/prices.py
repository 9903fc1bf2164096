"""Set what calls cost. Prices are frozen into spans as they arrive.

So a change says what spans cost from now on, and changes no number that is there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from controlplane import keys
from controlplane.actions.audit import record
from controlplane.models import Price, Project


@transaction.atomic
def set_price(
    project: Project,
    *,
    kind: str,
    target: str,
    unit: str,
    nano_usd: int,
    actor: User | None,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> Price:
    now = timezone.now()
    price = Price(
        project=project,
        kind=kind,
        target=target,
        unit=unit,
        nano_usd=nano_usd,
        valid_from=valid_from or now,
        valid_to=valid_to,
    )
    price.full_clean()
    price.save(force_insert=True)
    record(
        "price.set",
        target,
        project=project,
        actor=actor,
        now=now,
        after=described(price),
    )
    transaction.on_commit(keys.ring.forget)
    return price


@transaction.atomic
def end_price(price: Price, *, actor: User | None) -> Price:
    """No longer valid from now on; what it priced keeps its price."""
    now = timezone.now()
    price = Price.objects.select_for_update().get(pk=price.pk)
    if price.valid_to is not None and price.valid_to <= now:
        raise ValidationError("This price has ended already.", code="price_ended")
    before = described(price)
    if price.valid_from < now:
        price.valid_to = now
        price.save(update_fields=["valid_to"])
    else:
        price.delete()
    record(
        "price.ended",
        price.target,
        project=price.project,
        actor=actor,
        now=now,
        before=before,
    )
    transaction.on_commit(keys.ring.forget)
    return price


def described(price: Price) -> dict[str, Any]:
    return {
        "kind": price.kind,
        "target": price.target,
        "unit": price.unit,
        "nano_usd": price.nano_usd,
        "valid_from": price.valid_from.isoformat(),
        "valid_to": price.valid_to.isoformat() if price.valid_to else None,
    }
