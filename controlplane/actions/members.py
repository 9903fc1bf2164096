"""Let people into projects, and out."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from controlplane.actions.audit import record
from controlplane.models import Membership, Project, Role


@transaction.atomic
def set_member(
    project: Project, *, user: User, role: Role, actor: User | None
) -> Membership:
    """Give the user this role in the project, whatever it was before."""
    if role not in Role.values:
        msg = f"{role} is no role; known: {', '.join(Role.values)}"
        raise ValidationError(msg, code="unknown_role")
    # The project is locked, so that two changes cannot both read the old role.
    Project.objects.select_for_update().get(pk=project.pk)
    before = Membership.objects.filter(project=project, user=user).first()
    membership, _ = Membership.objects.update_or_create(
        project=project, user=user, defaults={"role": role}
    )
    record(
        "member.set",
        user.get_username(),
        project=project,
        actor=actor,
        now=timezone.now(),
        before={"role": before.role} if before else {},
        after={"role": role},
    )
    return membership


@transaction.atomic
def remove_member(membership: Membership, *, actor: User | None) -> None:
    record(
        "member.removed",
        membership.user.get_username(),
        project=membership.project,
        actor=actor,
        now=timezone.now(),
        before={"role": membership.role},
    )
    membership.delete()
