"""Law 8: a project's data never reaches another's key, user or socket."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpResponse
from django.utils import timezone

from controlplane import actions
from controlplane.models import Project, Role
from controlplane.scope import scope_of_request, scope_of_socket, scoped


@pytest.fixture
def other(db) -> Project:
    return Project.objects.create(
        slug="globex", name="Globex", created_at=timezone.now()
    )


@pytest.fixture
def member(project, user):
    actions.set_member(project, user=user, role=Role.OPERATOR, actor=None)
    return user


@pytest.fixture
def asks(rf):
    def ask(path="/", *, by=None, key=None):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        request = rf.get(path, headers=headers)
        request.user = by or AnonymousUser()
        return request

    return ask


def test_a_member_gets_their_project_with_the_rights_of_their_role(
    asks, member, project
):
    scope = scope_of_request(asks(by=member))

    assert scope.project_id == project.pk
    assert scope.role is Role.OPERATOR
    assert scope.may("write")
    assert not scope.may("manage")


def test_a_user_gets_nothing_of_a_project_that_exists(asks, member, other):
    exists = scope_of_request(asks("/?project=globex", by=member))
    does_not = scope_of_request(asks("/?project=nowhere", by=member))

    assert exists is None
    assert does_not is None


def test_a_name_that_no_database_takes_is_a_project_that_does_not_exist(asks, member):
    assert scope_of_request(asks("/?project=a%00b", by=member)) is None
    assert scope_of_socket({"user": member, "query_string": b"project=\xff"}) is None


def test_a_key_gets_nothing_of_another_project(asks, project, other):
    made = actions.create_key(project, scopes=["read"], actor=None)

    assert scope_of_request(asks(key=made.token)).project_id == project.pk
    assert scope_of_request(asks("/?project=globex", key=made.token)) is None


def test_a_useless_key_is_not_saved_by_a_session(asks, member):
    assert scope_of_request(asks(by=member, key="sg_00000000_nothing")) is None


def test_a_socket_gets_nothing_of_another_project(member, project, other):
    mine = scope_of_socket({"user": member, "query_string": b"project=acme"})
    first = scope_of_socket({"user": member, "query_string": b""})
    others = scope_of_socket({"user": member, "query_string": b"project=globex"})
    nobody = scope_of_socket({"user": AnonymousUser(), "query_string": b""})

    assert mine == first
    assert mine.project_id == project.pk
    assert others is None
    assert nobody is None


def test_a_tenant_bound_key_carries_its_tenant(asks, project):
    made = actions.create_key(project, scopes=["read"], tenant="t1", actor=None)

    assert scope_of_request(asks(key=made.token)).tenant == "t1"


def test_a_removed_member_is_out(asks, member, project):
    actions.remove_member(member.memberships.get(), actor=None)

    assert scope_of_request(asks(by=member)) is None


def test_a_superuser_is_in_every_project(asks, user, other):
    user.is_superuser = True

    scope = scope_of_request(asks("/?project=globex", by=user))

    assert scope.project_id == other.pk
    assert scope.role is Role.OWNER


def test_a_page_asks_for_a_login_or_hides(asks, member, other, project):
    @scoped
    def page(request, scope):
        return HttpResponse(scope.slug)

    assert page(asks(by=member)).content == b"acme"
    assert page(asks("/live?x=1")).url == "/login/?next=/live%3Fx%3D1"
    with pytest.raises(Http404):
        page(asks("/?project=globex", by=member))


def test_a_key_without_read_opens_no_page(asks, project):
    @scoped
    def page(request, scope):
        return HttpResponse(scope.slug)

    made = actions.create_key(project, scopes=["ingest"], actor=None)

    assert page(asks(key=made.token)).status_code == 302
