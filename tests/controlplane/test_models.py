from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from controlplane.models import Membership, Project


def test_a_user_is_once_a_member_of_a_project(project, user):
    Membership.objects.create(user=user, project=project, role="viewer")

    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(user=user, project=project, role="owner")


def test_projects_do_not_share_a_fingerprint_key(project):
    other = Project.objects.create(
        slug="other", name="Other", created_at=project.created_at
    )

    assert len(bytes(other.fingerprint_key)) == 32
    assert bytes(other.fingerprint_key) != bytes(project.fingerprint_key)
