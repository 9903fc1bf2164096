from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from controlplane import actions, rulebook
from controlplane.compiling import snapshot_for
from controlplane.models import (
    RULE_MODELS,
    Instance,
    Membership,
    PolicyVersion,
    RuleChange,
)
from tests.controlplane.policies import (
    OF_EACH_KIND,
    fallback,
    kill_switch,
    quota,
    retry,
)

PAGES = {kind: model.__name__.lower() for kind, model in RULE_MODELS.items()}


def url(kind, page, *args):
    return reverse(f"admin:controlplane_{PAGES.get(kind, kind)}_{page}", args=args)


@pytest.fixture
def save(project):
    def make(document, **how):
        actions.save_rule(project, document["kind"], document, actor=None, **how)
        model = RULE_MODELS[document["kind"]]
        return model.objects.get(project=project, slug=document["id"])

    return make


@pytest.fixture
def filled(admin_client):
    """The fields of a form as a browser would send them back."""

    def fields(address):
        form = admin_client.get(address).context["adminform"].form
        sent = {}
        for bound in form:
            value = bound.value()
            if bound.name == "expires_at":
                moment = value or None
                sent["expires_at_0"] = f"{moment:%Y-%m-%d}" if moment else ""
                sent["expires_at_1"] = f"{moment:%H:%M:%S}" if moment else ""
            elif bound.name == "chain":
                for index, hop in enumerate(value or []):
                    sent[f"chain-{index}-place"] = index + 1
                    for part in ("target", "timeout_ms", "max_cost_usd"):
                        sent[f"chain-{index}-{part}"] = hop.get(part, "")
            elif value is True:
                sent[bound.name] = "on"
            elif value not in (None, False):
                sent[bound.name] = value
        return sent

    return fields


@pytest.fixture
def send(admin_client, filled):
    """Fill a form in, change some fields, and save."""

    def post(address, **fields):
        sent = filled(address) | fields
        return admin_client.post(
            address, {name: value for name, value in sent.items() if value is not None}
        )

    return post


def errors_of(response):
    assert response.status_code == 200, "the form was taken"
    form = response.context["adminform"].form
    return {name: " ".join(said) for name, said in form.errors.items()}


def rules_by_id(project):
    return {view.id: view for view in rulebook.rules_in(project)}


@pytest.mark.parametrize("document", OF_EACH_KIND, ids=lambda each: each["kind"])
def test_saving_an_untouched_form_changes_nothing(project, save, send, document):
    row = save(document | {"owner": "ada"})

    response = send(url(document["kind"], "change", row.pk))

    assert response.status_code == 302, errors_of(response)
    assert RuleChange.objects.count() == 1


@pytest.mark.parametrize("kind", PAGES)
def test_an_empty_form_gives_the_kernels_defaults(project, send, kind):
    needed = {
        "rate_limit": {"limit": 10},
        "quota": {"unit": "usd", "limit": "12.5"},
        "fallback": {"chain-0-target": "tool:lite", "selector": "target=tool:x"},
        "run_budget": {"max_steps": 5},
        "kill_switch": {
            "expires_at_0": f"{timezone.now() + timedelta(hours=2):%Y-%m-%d}",
            "expires_at_1": f"{timezone.now() + timedelta(hours=2):%H:%M:%S}",
        },
    }.get(kind, {})

    response = send(url(kind, "add"), project=project.pk, slug="mine", **needed)

    assert response.status_code == 302, errors_of(response)
    view = rules_by_id(project)["mine"]
    assert (view.kind, view.created_by) == (kind, "admin")


def test_a_form_publishes_at_once_and_says_why(project, save, send):
    snapshot_for(project.pk, "prod", "shop")
    row = save(retry(max_attempts=3))

    send(
        url("retry", "change", row.pk),
        max_attempts=5,
        selector="tenant=acme, target=search*",
        reason="search flaps",
        owner="team-search",
    )

    view = rules_by_id(project)["rt"]
    assert view.rule.max_attempts == 5
    assert view.document()["selector"] == {
        "target": {"glob": "search*"},
        "tenant": "acme",
    }
    assert (view.owner, view.reason, view.updated_by) == (
        "team-search",
        "search flaps",
        "admin",
    )
    version = PolicyVersion.objects.of_environment(project.pk, "prod").first()
    assert (version.number, version.reason) == (3, "search flaps")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"selector": "tool=search"}, ("selector", "known are target")),
        ({"selector": "target"}, ("selector", "After target there must be")),
        ({"selector": "kind=toool"}, ("selector", "is none of")),
        ({"max_attempts": 11}, ("max_attempts", "less than or equal to 10")),
        ({"max_wait_ms": 1}, ("max_wait_ms", "at least wait_duration_ms")),
        ({"retry_on": None}, ("retry_on", "must not be empty")),
        ({"slug": "not an id"}, ("slug", "letters, digits")),
        ({"slug": "taken"}, ("slug", "taken is the id of a timeout rule already")),
        ({"owner": "x" * 101}, ("owner", "at most 100")),
        ({"reason": "x" * 501}, ("reason", "at most 500")),
        (
            {"expires_at_0": "2020-01-01", "expires_at_1": "00:00"},
            ("expires_at", "fut"),
        ),
        ({"priority": 10**7}, ("priority", "less than or equal")),
    ],
)
def test_what_is_refused_is_said_at_its_field(project, save, send, fields, error):
    field, said = error
    save({"id": "taken", "kind": "timeout"})

    response = send(
        url("retry", "add"), **{"project": project.pk, "slug": "mine"} | fields
    )

    assert said in errors_of(response)[field]
    assert set(rules_by_id(project)) == {"taken"}
    assert RuleChange.objects.count() == 1


def test_a_part_of_a_window_is_refused_at_its_own_field(project, send):
    fields = {"project": project.pk, "slug": "q", "unit": "usd", "limit": "5"}

    response = send(url("quota", "add"), **fields, window__tz="Mars/Olympus")

    assert "time zone" in errors_of(response)["window__tz"]


def test_a_run_budget_that_bounds_nothing_is_refused_as_a_whole(project, send):
    fields = {"project": project.pk, "slug": "rb", "loop_threshold": None}

    response = send(url("run_budget", "add"), **fields)

    assert "must set one of" in errors_of(response)["__all__"]


def test_a_window_is_made_of_its_fields(project, send):
    send(
        url("quota", "add"),
        project=project.pk,
        slug="q",
        unit="usd",
        limit="5",
        warn_at="0.5, 0.9",
        window__period="P1W",
        window__tz="Asia/Tokyo",
        window__week_start="sunday",
        window__reset_time="06:00",
    )

    document = rules_by_id(project)["q"].document()
    assert document["window"] == {
        "period": "P1W",
        "tz": "Asia/Tokyo",
        "week_start": "sunday",
        "reset_time": "06:00",
    }
    assert document["warn_at"] == [0.5, 0.9]


def test_numbers_that_are_none_are_refused_at_their_field(project, send):
    fields = {"project": project.pk, "slug": "q", "unit": "usd", "limit": "5"}

    response = send(url("quota", "add"), **fields, warn_at="half")

    assert "commas" in errors_of(response)["warn_at"]


def chain_of(project):
    return [hop["target"] for hop in rules_by_id(project)["fb"].document()["chain"]]


def test_the_order_of_a_chain_is_changed_by_its_places(project, save, send):
    row = save(fallback("fb", "tool:a", "tool:b", "tool:c", "tool:d"))

    send(
        url("fallback", "change", row.pk),
        **{"chain-0-place": 3, "chain-2-place": 1, "chain-1-place": "2"},
    )

    assert chain_of(project) == ["tool:d", "tool:c", "tool:b"]


def test_targets_are_put_in_between_and_removed(project, save, send):
    row = save(fallback("fb", "tool:a", "tool:b", "tool:c"))

    send(
        url("fallback", "change", row.pk),
        **{
            "chain-1-remove": "on",
            "chain-2-target": "tool:new",
            "chain-2-place": "0.5",
            "chain-2-timeout_ms": "900",
            "chain-2-max_cost_usd": "0.01",
        },
    )

    chain = rules_by_id(project)["fb"].document()["chain"]
    assert chain == [
        {"target": "tool:new", "timeout_ms": 900, "max_cost_usd": "0.01"},
        {"target": "tool:b"},
    ]


def test_the_chain_has_lines_to_spare_and_a_name_for_each_field(admin_client, save):
    row = save(fallback("fb", "tool:a", "tool:b"))

    page = admin_client.get(url("fallback", "change", row.pk)).content.decode()

    assert 'name="chain-0-target" value="tool:b" aria-label="target 1"' in page
    assert 'name="chain-3-target" value="" aria-label="target 4"' in page
    assert 'src="/static/js/admin-chain.js"' in page


def test_what_stands_in_a_chain_cannot_break_the_page(admin_client, send, project):
    response = send(
        url("fallback", "add"),
        project=project.pk,
        slug="fb",
        **{"chain-0-target": '"><script>x</script>', "chain-0-timeout_ms": "soon"},
    )

    assert "whole number" in errors_of(response)["chain"]
    assert "<script>x" not in response.content.decode()


def test_a_circle_of_fallbacks_is_an_error_of_the_form(project, save, send):
    save(fallback("one", "tool:a", "tool:b"))

    response = send(
        url("fallback", "add"),
        project=project.pk,
        slug="two",
        selector="target=tool:b",
        **{"chain-0-target": "tool:a"},
    )

    assert "tool:a -> tool:b" in errors_of(response)["chain"]
    assert set(rules_by_id(project)) == {"one"}


def test_an_edit_of_what_has_changed_meanwhile_is_an_error_of_the_form(
    project, save, send, filled
):
    row = save(retry(max_attempts=2))
    stale = filled(url("retry", "change", row.pk))
    save(retry(max_attempts=3))

    response = send(url("retry", "change", row.pk), **stale | {"max_attempts": 9})

    assert "revision 2" in errors_of(response)["__all__"]
    assert rules_by_id(project)["rt"].rule.max_attempts == 3


def test_a_rule_keeps_its_id_and_its_project(project, save, send):
    other = actions.create_project("Other", actor=None)
    row = save(retry("mine"))

    send(url("retry", "change", row.pk), slug="yours", project=other.pk, max_attempts=7)

    assert rules_by_id(project)["mine"].rule.max_attempts == 7
    assert rules_by_id(other) == {}


def test_a_rule_is_deleted_through_its_action(project, save, admin_client):
    row = save(retry())

    admin_client.post(url("retry", "delete", row.pk), {"post": "yes"})

    change = RuleChange.objects.latest("pk")
    assert (change.after, change.actor_name) == (None, "admin")
    assert rules_by_id(project) == {}


def test_what_others_need_is_not_deleted_and_the_page_says_why(
    project, save, admin_client
):
    whole = save(quota("whole"))
    save(quota("part", parent="whole"))

    response = admin_client.post(
        url("quota", "delete", whole.pk), {"post": "yes"}, follow=True
    )

    assert "whole is no quota" in response.content.decode()
    assert set(rules_by_id(project)) == {"part", "whole"}


def test_selected_rules_are_deleted_at_once_or_none_of_them(
    project, save, admin_client
):
    snapshot_for(project.pk, "prod", "shop")
    whole = save(quota("whole"))
    part = save(quota("part", parent="whole"))
    free = save(quota("free"))

    def delete(*rows):
        admin_client.post(
            url("quota", "changelist"),
            {
                "action": "delete_selected",
                "post": "yes",
                "_selected_action": [row.pk for row in rows],
            },
        )

    delete(free, whole)
    assert set(rules_by_id(project)) == {"free", "part", "whole"}

    delete(whole, part)
    assert set(rules_by_id(project)) == {"free"}
    assert PolicyVersion.objects.latest("pk").number == 5


@pytest.mark.parametrize(
    ("action", "mode"),
    [("shadow", "shadow"), ("switch_off", "off"), ("enforce", "enforce")],
)
def test_selected_rules_change_how_they_act(project, save, admin_client, action, mode):
    start = "off" if mode == "enforce" else "enforce"
    snapshot_for(project.pk, "prod", "shop")
    rows = [save(retry(slug, mode=start, owner="ada")) for slug in ("one", "two")]

    admin_client.post(
        url("retry", "changelist"),
        {"action": action, "_selected_action": [row.pk for row in rows]},
    )

    views = rulebook.rules_in(project)
    assert {(view.rule.mode, view.owner) for view in views} == {(mode, "ada")}
    assert PolicyVersion.objects.latest("pk").number == 4


def test_the_list_says_what_rules_are_about_and_whether_they_act(save, admin_client):
    save(retry("one", max_attempts=7, selector={"tenant": "acme"}))
    save(retry("two", mode="shadow"))
    row = save(kill_switch("ks"))
    past = timezone.now() - timedelta(hours=1)
    type(row).objects.update(expires_at=past)

    page = admin_client.get(url("retry", "changelist")).content.decode()
    switches = admin_client.get(url("kill_switch", "changelist")).content.decode()

    assert "tenant acme" in page
    assert "max attempts 7" in page
    assert "every call" in page
    assert "no: only records" in page
    assert "no: expired" in switches


@pytest.mark.parametrize("kind", PAGES)
def test_a_list_of_rules_costs_a_fixed_number_of_queries(
    project, save, admin_client, django_assert_num_queries, kind
):
    [document] = [each for each in OF_EACH_KIND if each["kind"] == kind]
    selector = {"agent": "x"}
    for number in range(4):
        save(document | {"id": f"rule-{number}", "selector": selector})

    # session, user, projects, modes and tiers to filter by, two counts, the rows
    with django_assert_num_queries(8):
        admin_client.get(url(kind, "changelist"))


def test_a_form_of_a_rule_costs_a_fixed_number_of_queries(
    project, save, admin_client, django_assert_max_num_queries
):
    rows = [save(retry(f"rule-{number}", priority=number)) for number in range(4)]

    # session, user, the rule, its project; once per process: the content type
    with django_assert_max_num_queries(5):
        admin_client.get(url("retry", "change", rows[0].pk))


def test_the_history_of_a_rule_knows_of_edits_made_elsewhere(save, admin_client):
    save(retry("rt", max_attempts=2), reason="asked for by ops")
    row = save(retry("rt", max_attempts=3), reason="and again")
    save(retry("other"), reason="something else")

    page = admin_client.get(url("retry", "history", row.pk), follow=True)

    listed = page.content.decode()
    assert "asked for by ops" in listed
    assert "and again" in listed
    assert "something else" not in listed


def test_a_form_asks_for_a_new_reason(save, filled):
    row = save(retry(), reason="of the last edit")

    assert "of the last edit" not in filled(url("retry", "change", row.pk)).values()


@pytest.fixture
def staff_client(client, project):
    """A member of staff who may use the admin, but is no superuser."""
    user = get_user_model().objects.create_user("sam", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="controlplane")
    )
    client.force_login(user)
    client.user = user
    return client


def test_staff_see_the_rules_of_their_projects_only(project, save, staff_client):
    row = save(retry("secret-rule"))

    listed = staff_client.get(url("retry", "changelist")).content.decode()
    opened = staff_client.get(url("retry", "change", row.pk))

    assert "secret-rule" not in listed
    assert opened.status_code == 302  # there is no such rule for them


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("operator", True)])
def test_staff_edit_what_their_role_lets_them(project, save, staff_client, role, may):
    Membership.objects.create(project=project, user=staff_client.user, role=role)
    row = save(retry(mode="off"))
    change = url("retry", "change", row.pk)

    assert staff_client.get(change).status_code == 200
    posted = staff_client.post(change, {})
    staff_client.post(
        url("retry", "changelist"),
        {"action": "enforce", "_selected_action": [row.pk]},
    )
    deleted = staff_client.post(url("retry", "delete", row.pk), {"post": "yes"})

    assert posted.status_code == (200 if may else 403)
    assert RuleChange.objects.count() == (3 if may else 1)
    assert deleted.status_code == (302 if may else 403)


@pytest.mark.parametrize(("role", "offered"), [("viewer", False), ("operator", True)])
def test_a_new_rule_is_for_a_project_whose_rules_one_may_edit(
    project, staff_client, role, offered
):
    Membership.objects.create(project=project, user=staff_client.user, role=role)

    form = staff_client.get(url("retry", "add")).context["adminform"].form

    assert (project in form.fields["project"].queryset) is offered


def test_a_version_is_read_and_gone_back_to(project, save, admin_client):
    snapshot_for(project.pk, "prod", "shop")
    save(retry(max_attempts=3))
    save(retry(max_attempts=5))
    second = PolicyVersion.objects.get(number=2)
    third = PolicyVersion.objects.get(number=3)

    page = admin_client.get(url("policyversion", "change", third.pk)).content.decode()
    answer = admin_client.post(
        url("policyversion", "changelist"),
        {"action": "roll_back", "_selected_action": [second.pk]},
        follow=True,
    )

    assert "3 -&gt; 5" in page
    assert "v4 says what v2 said." in answer.content.decode()
    assert rules_by_id(project)["rt"].rule.max_attempts == 3


def test_a_version_that_was_tampered_with_says_so(project, save, admin_client):
    snapshot_for(project.pk, "prod", "shop")
    save(retry(max_attempts=3))
    version = PolicyVersion.objects.get(number=2)
    changed = version.document.replace('"max_attempts":3', '"max_attempts":9')
    PolicyVersion.objects.filter(pk=version.pk).update(document=changed)

    page = admin_client.get(url("policyversion", "change", version.pk))

    assert "cannot be read any more" in page.content.decode()


@pytest.mark.parametrize("chosen", [[2, 1], [3]])
def test_going_back_is_to_one_version_that_is_not_running(
    project, save, admin_client, chosen
):
    snapshot_for(project.pk, "prod", "shop")
    save(retry(max_attempts=3))
    save(retry(max_attempts=5))
    keys = PolicyVersion.objects.filter(number__in=chosen).values_list("pk", flat=True)

    admin_client.post(
        url("policyversion", "changelist"),
        {"action": "roll_back", "_selected_action": list(keys)},
    )

    assert PolicyVersion.objects.count() == 3


def test_a_viewer_does_not_go_back(project, save, staff_client):
    Membership.objects.create(project=project, user=staff_client.user, role="viewer")
    snapshot_for(project.pk, "prod", "shop")
    save(retry())
    first = PolicyVersion.objects.get(number=1)

    staff_client.post(
        url("policyversion", "changelist"),
        {"action": "roll_back", "_selected_action": [first.pk]},
    )

    assert PolicyVersion.objects.count() == 2


@pytest.mark.parametrize("page", ["policyversion", "rulechange", "instance"])
def test_history_can_only_be_read(project, save, admin_client, page):
    snapshot_for(project.pk, "prod", "shop")
    save(retry())
    now = timezone.now()
    Instance.objects.create(
        project=project,
        environment="prod",
        service="shop",
        uid="a",
        first_seen_at=now,
        seen_at=now,
    )
    model = {
        "policyversion": PolicyVersion,
        "rulechange": RuleChange,
        "instance": Instance,
    }[page]
    row = model.objects.order_by("-pk").first()

    assert admin_client.get(url(page, "changelist")).status_code == 200
    assert admin_client.get(url(page, "change", row.pk)).status_code == 200
    assert admin_client.get(url(page, "add")).status_code == 403
    assert admin_client.post(url(page, "change", row.pk), {}).status_code == 403
    assert admin_client.post(url(page, "delete", row.pk)).status_code == 403


@pytest.mark.parametrize("page", ["policyversion", "rulechange", "instance"])
def test_lists_of_history_cost_a_fixed_number_of_queries(
    project, save, admin_client, django_assert_max_num_queries, page
):
    now = timezone.now()
    for number in range(4):
        snapshot_for(project.pk, f"env-{number}", "shop")
        save(retry(f"rt-{number}"))
        Instance.objects.create(
            project=project,
            environment="prod",
            service="shop",
            uid=f"{number}",
            first_seen_at=now,
            seen_at=now,
        )

    with django_assert_max_num_queries(9):
        admin_client.get(url(page, "changelist"))
