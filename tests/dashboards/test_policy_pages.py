"""The policy and instances pages over HTTP: what they show, what their forms do."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from controlplane import actions, compiling
from controlplane.models import (
    Draft,
    Instance,
    Membership,
    PolicyVersion,
    Project,
    Role,
    RuleChange,
)
from controlplane.rulebook import rules_in
from dashboards.policy.forms import form, typed
from dashboards.policy.kinds import KINDS
from ingest.queries import inventory
from switchgear.policy.rules import parameters
from tests.dashboards.conftest import keep_secret_policy, reader_of
from tests.dashboards.test_api_policy import running

pytestmark = pytest.mark.django_db

HERE = "?project=acme"
SEARCH = f"/policy/rules/rt-search/{HERE}"
CHAIN = f"/policy/rules/fb-search/{HERE}"
# Every page that is looked at; the rule and the version are there.
PAGES = (
    "/policy/",
    "/policy/rules/rt-search/",
    "/policy/new/",
    *(f"/policy/new/{kind}/" for kind in KINDS),
    "/policy/rollout/",
    "/policy/versions/",
    "/policy/versions/2/",
    "/policy/explain/?service=shop&target=search.web",
    "/instances/",
    "/instances/rows/",
)
BUTTONS = (
    "/policy/new/retry/",
    "/policy/rules/rt-search/",
    "/policy/rules/rt-search/delete/",
    "/policy/drafts/",
    "/policy/drafts/{draft}/publish/",
    "/policy/drafts/{draft}/rebase/",
    "/policy/drafts/{draft}/discard/",
    "/policy/drafts/{draft}/rules/rt-search/take-back/",
    "/policy/versions/1/rollback/",
)


@pytest.fixture(autouse=True)
def no_spans(monkeypatch):
    """Pages of policy need no telemetry; what they show of it is tested elsewhere."""
    monkeypatch.setattr(inventory, "instances", lambda *_, **__: [])


def member_of(project, user, client, role):
    Membership.objects.create(project=project, user=user, role=role)
    client.force_login(user)
    return client


@pytest.fixture
def operator(policy, user, client):
    return member_of(policy, user, client, Role.OPERATOR)


@pytest.fixture
def at_once(policy, operator):
    """An operator of a project without an open draft."""
    actions.discard_draft(Draft.objects.get(project=policy), actor=None)
    return operator


def filled(kind, **changed):
    """What a browser sends of a form nobody touched, and what was typed in it."""
    empty = form(kind, {}, {})
    sent = {"mode": "enforce", "reason": "because"}
    for field in (*empty.first, *empty.more):
        if field.parameter.type == "flag" and field.value:
            sent[field.name] = "on"
        elif field.parameter.type not in {"flag", "chain", "object"}:
            sent[field.name] = field.value
        for part in field.parts:
            sent[part.name] = part.value
    return sent | changed


def rule_of(project, rule_id):
    return next(view for view in rules_in(project) if view.id == rule_id)


# What is shown


def test_every_page_is_drawn_without_a_script_of_its_own(operator):
    for path in PAGES:
        joint = "&" if "?" in path else "?"

        page = operator.get(f"{path}{joint}project=acme")

        assert page.status_code == 200, path
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*json)", page.text), path
        assert not re.search(r"\son\w+=", page.text), path
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]


def test_rules_are_listed_by_kind_with_what_they_do_and_whom_they_are_about(operator):
    page = operator.get(f"/policy/{HERE}").text

    assert "Retry and timeout" in page
    assert "Fallback chain" in page
    assert "search.lite, then search.old" in page
    assert "3\u00a0attempts, 200\u00a0ms" in page
    assert "search team" in page
    assert re.search(r"<i>tenant not</i><span class=\"clip\">globex</span>", page)


def test_a_rule_in_shadow_and_one_that_ends_say_so(policy, operator):
    ends = timezone.now() + timedelta(hours=1)
    actions.save_rule(
        policy,
        "kill_switch",
        {
            "id": "ks",
            "mode": "shadow",
            "tier": "override",
            "expires_at": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        actor=None,
    )

    page = operator.get(f"/policy/{HERE}").text

    assert '<span class="chip line">shadow</span>' in page
    assert '<span class="chip line">override</span>' in page
    assert f'ends <time datetime="{ends.strftime("%Y-%m-%dT%H:%M:%S")}' in page


def test_warnings_of_the_review_stand_beside_their_rules(policy, operator):
    actions.save_rule(
        policy,
        "retry",
        {"id": "rt-twin", "selector": {"target": "search.web"}},
        actor=None,
    )

    page = operator.get(f"/policy/{HERE}").text

    assert "only because of its name" in page
    assert "2 warnings<" in page


def test_a_project_without_rules_says_what_to_do(project, user, client):
    member_of(project, user, client, Role.OPERATOR)

    page = client.get(f"/policy/{HERE}").text

    assert "No rules yet" in page
    for kind in KINDS.values():
        assert kind.name in page
    assert "create_key --project acme --scopes ingest,policy" in page


def test_a_viewer_sees_all_and_is_offered_nothing(policy, user, client):
    member_of(policy, user, client, Role.VIEWER)

    page = client.get(SEARCH).text

    assert "rt-search" in page
    for word in ("Save and publish", "Open a draft", "Roll back", "New rule"):
        assert word not in page
    assert "<fieldset" in page
    assert "data-form disabled" in page


@pytest.mark.parametrize("pointer", ["/selector", "/chain/0", "/nowhere/at/all"])
def test_what_is_wrong_with_no_field_is_said_of_the_rule(pointer):
    assert form("retry", {}, {pointer: "cannot be"}).error == "cannot be"


def test_every_parameter_of_a_kind_is_in_its_form(operator):
    for kind in KINDS:
        page = operator.get(f"/policy/new/{kind}/{HERE}").text

        for one in parameters(kind):
            names = [f"{one.name}.{part.name}" for part in one.parts] or [one.name]
            for name in names:
                assert f'name="{name}"' in page, (kind, name)


def test_who_refuses_a_version_is_named_with_the_reason(policy, operator):
    running(policy, "shop-1", 3)
    running(
        policy,
        "shop-2",
        2,
        state="REJECTED",
        failed_version=3,
        failed_rule="fb-search",
        failed_pointer="/chain/0",
        failed_error="unknown field",
    )

    page = operator.get(f"/policy/{HERE}").text

    assert "Rollout of v3" in page
    assert "1 of 2 applied" in page
    assert "shop-2 keeps running v2." in page
    assert "unknown field (rule fb-search /chain/0)" in page


def test_when_all_instances_are_gone_the_rollout_says_since_when(policy, operator):
    running(policy, "shop-1", 3, seen_at=timezone.now() - timedelta(hours=2))

    page = operator.get(f"/policy/{HERE}").text

    assert "No instance is running" in page
    assert "The last one was heard of" in page
    assert "No instance has asked" not in page


def test_instances_show_version_last_seen_and_drift(policy, operator):
    running(policy, "shop-1", 3, running_digest="sha256:" + "0" * 64)
    running(policy, "shop-2", 1)
    gone = timezone.now() - timedelta(hours=1)
    running(policy, "shop-3", 3, seen_at=gone)

    page = operator.get(f"/instances/{HERE}").text

    assert "runs content of its own under this number" in page
    assert "2\u00a0versions behind" in page
    assert "1 of 2 on v3" in page
    assert "gone" in page
    assert page.index("shop-2") < page.index("shop-3")
    assert page.count("data-ago") == 4  # each instance, and the service


def test_a_page_that_names_no_environment_shows_where_the_instances_are(
    project, user, client
):
    member_of(project, user, client, Role.VIEWER)
    for name in ("production", "staging", "west"):
        compiling.snapshot_for(project.pk, name, "shop")
    running(project, "shop-1", 1, environment="staging")
    running(project, "shop-2", 1, environment="staging")
    running(project, "shop-3", 1, environment="production")

    page = client.get(f"/instances/{HERE}").text
    chosen = client.get(f"/instances/{HERE}&env=production").text

    assert "shop-1" in page
    assert "shop-3" not in page
    assert 'href="/policy/?env=staging&amp;project=acme"' in page
    assert "shop-3" in chosen


def test_an_environment_called_default_comes_first_where_there_is_one(policy, operator):
    compiling.snapshot_for(policy.pk, "a-west", "shop")

    assert "Environment default" in operator.get(f"/policy/{HERE}").text


def test_history_tells_who_why_and_what_was_rolled_back(policy, operator):
    actions.roll_back(policy, "default", 2, actor=None, reason="too many fallbacks")

    history = operator.get(f"/policy/versions/{HERE}").text
    version = operator.get(f"/policy/versions/4/{HERE}").text

    assert "too many fallbacks" in history
    assert "rolled back to v2" in history
    assert "with the rules of v2" in version
    assert "<del>fallback fb-search</del>" in version


def test_any_two_versions_are_compared(operator):
    page = operator.get(f"/policy/versions/3/{HERE}&against=1").text

    assert "against v1" in page
    assert "<ins>retry rt-search</ins>" in page
    assert "<ins>fallback fb-search</ins>" in page


def test_a_call_is_explained(operator):
    page = operator.get(
        f"/policy/explain/{HERE}&service=shop&target=search.web&tenant=globex"
    ).text

    assert "shop calls tool search.web" in page
    assert "the strongest rule that matches" in page
    assert "the call must have tenant not globex" in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/policy/rules/missing/", 404),
        ("/policy/new/magic/", 404),
        ("/policy/versions/99/", 404),
        ("/policy/versions/" + "9" * 30 + "/", 404),
        ("/policy/versions/" + "9" * 18 + "/", 404),
        ("/policy/rules/%00/", 404),
        ("/policy/?env=%00", 400),
        ("/policy/versions/3/?against=99", 404),
        ("/policy/versions/3/?against=x", 400),
        ("/policy/versions/?before=x", 400),
        ("/policy/?env=" + "e" * 101, 400),
    ],
)
def test_addresses_that_name_nothing_say_so(operator, path, status):
    assert operator.get(path).status_code == status


# What is done


def test_a_rule_is_made_in_a_form_and_in_force_at_once(policy, at_once):
    answer = at_once.post(
        f"/policy/new/retry/{HERE}",
        filled("retry", id="rt-crm", max_attempts="5", owner="crm team")
        | {
            "selector.fact": ["target", "tenant"],
            "selector.test": ["like", "one of"],
            "selector.value": ["crm.*", "acme, globex"],
        },
    )

    assert answer.status_code == 302
    assert answer.headers["location"] == f"/policy/rules/rt-crm/{HERE}"
    view = rule_of(policy, "rt-crm")
    assert view.document()["max_attempts"] == 5
    assert view.owner == "crm team"
    assert view.updated_by == "ada"
    assert view.rule.selector.document() == {
        "target": {"glob": "crm.*"},
        "tenant": ["acme", "globex"],
    }
    page = at_once.get(answer.headers["location"]).text
    assert "rt-crm is saved" in page
    assert "v4 is" in page


def test_a_form_that_is_sent_back_untouched_changes_nothing(policy, at_once):
    chain = rule_of(policy, "fb-search").document()["chain"]
    sent = filled("fallback", rev="1", owner="search team") | {
        "selector.fact": ["target", "tenant"],
        "selector.test": ["", "not"],
        "selector.value": ["search.web", "globex"],
        "chain.target": [hop["target"] for hop in chain],
        "chain.timeout_ms": ["", ""],
        "chain.max_cost_usd": ["", ""],
    }

    answer = at_once.post(CHAIN, sent)

    assert rule_of(policy, "fb-search").rev == 1
    page = at_once.get(answer.headers["location"]).text
    assert "Nothing is different for default: v3 stays." in page


def test_the_order_of_the_chain_is_the_order_in_the_form(policy, at_once):
    at_once.post(
        CHAIN,
        filled("fallback", rev="1")
        | {
            "chain.target": ["tool:search.old", "tool:search.lite", "search.new"],
            "chain.timeout_ms": ["", "4000", ""],
            "chain.max_cost_usd": ["0.01", "", ""],
        },
    )

    assert rule_of(policy, "fb-search").document()["chain"] == [
        {"target": "tool:search.old", "max_cost_usd": "0.01"},
        {"target": "tool:search.lite", "timeout_ms": 4000},
        {"target": "search.new"},
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"max_attempts": "many"}, 'id="ef-max_attempts"'),
        ({"max_attempts": "0"}, 'id="ef-max_attempts"'),
        ({"max_wait_ms": "1"}, 'id="ef-max_wait_ms"'),
        ({"id": "with space"}, 'id="ef-id"'),
        ({"id": ""}, 'id="ef-id"'),
        ({"id": "fb-search"}, 'id="ef-id"'),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(
    policy, at_once, changed, said
):
    sent = filled("retry", **({"id": "rt-new", "owner": "me"} | changed))

    answer = at_once.post(f"/policy/new/retry/{HERE}", sent)

    assert answer.status_code == 400
    assert said in answer.text
    assert "Not saved" in answer.text
    assert 'name="owner" maxlength="100" value="me"' in answer.text
    for text in changed.values():
        assert f'value="{text}"' in answer.text
    assert RuleChange.objects.filter(project=policy).count() == 2


def test_a_condition_without_a_value_is_marked_in_its_row(policy, at_once):
    sent = filled("retry", id="rt-new") | {
        "selector.fact": ["tenant"],
        "selector.test": [""],
        "selector.value": [" "],
    }

    answer = at_once.post(f"/policy/new/retry/{HERE}", sent)

    assert answer.status_code == 400
    row = re.search(r'<div class="condition".*?</div>', answer.text, re.DOTALL)[0]
    assert 'aria-invalid="true"' in row


def test_a_condition_that_stands_there_twice_is_refused_not_lost(policy, at_once):
    sent = filled("retry", id="rt-new") | {
        "selector.fact": ["tenant", "tenant"],
        "selector.test": ["", ""],
        "selector.value": ["acme", "globex"],
    }

    answer = at_once.post(f"/policy/new/retry/{HERE}", sent)

    assert answer.status_code == 400
    assert "stands here twice" in answer.text


def test_a_hop_that_cannot_be_is_marked_where_it_stands(policy, at_once):
    sent = filled("fallback", rev="1") | {
        "chain.target": ["tool:search.lite", ""],
        "chain.timeout_ms": ["", "soon"],
        "chain.max_cost_usd": ["", ""],
    }

    answer = at_once.post(CHAIN, sent)

    assert answer.status_code == 400
    hops = re.findall(r'<li class="hop" data-row>.*?</li>', answer.text, re.DOTALL)
    assert 'aria-invalid="true"' not in hops[0]
    assert 'aria-invalid="true"' in hops[1]


def test_a_cycle_is_refused_with_its_way(policy, at_once):
    sent = filled("fallback", id="fb-back") | {
        "selector.fact": ["target"],
        "selector.test": [""],
        "selector.value": ["search.lite"],
        "chain.target": ["tool:search.web"],
        "chain.timeout_ms": [""],
        "chain.max_cost_usd": [""],
    }

    answer = at_once.post(f"/policy/new/fallback/{HERE}", sent)

    assert answer.status_code == 400
    assert "search.web" in answer.text
    assert "in a circle" in answer.text


def test_a_kill_switch_needs_an_end(policy, at_once):
    answer = at_once.post(
        f"/policy/new/kill_switch/{HERE}", filled("kill_switch", id="ks")
    )

    assert answer.status_code == 400
    assert 'id="ef-expires_at"' in answer.text


def test_who_comes_second_is_told_who_was_first_and_what_changed(policy, at_once):
    actions.save_rule(
        policy,
        "retry",
        {"id": "rt-search", "selector": {"target": "search.web"}, "max_attempts": 7},
        actor=None,
        actor_name="mara",
    )

    answer = at_once.post(SEARCH, filled("retry", rev="1", max_attempts="2"))

    assert answer.status_code == 409
    assert "mara changed this rule while you were editing it" in answer.text
    assert "max attempts 3 -&gt; 7" in answer.text
    assert rule_of(policy, "rt-search").document()["max_attempts"] == 7
    assert 'name="rev" value="2"' in answer.text


def test_a_rule_is_deleted_with_a_reason(policy, at_once):
    path = f"/policy/rules/rt-search/delete/{HERE}"

    at_once.post(path, {"rev": "1", "reason": "not needed"})

    assert [view.id for view in rules_in(policy)] == ["fb-search"]
    assert RuleChange.objects.latest("pk").reason == "not needed"


def test_with_a_draft_open_edits_wait_in_it_and_are_told_in_sentences(policy, operator):
    answer = operator.post(
        SEARCH,
        filled("retry", rev="1", max_attempts="5")
        | {
            "selector.fact": ["target"],
            "selector.test": [""],
            "selector.value": ["search.web"],
        },
    )
    page = operator.get(answer.headers["location"]).text

    assert rule_of(policy, "rt-search").document()["max_attempts"] == 3
    assert "<del>3</del> <ins>5</ins>" in re.sub(r"\s+", " ", page)
    assert "1\u00a0change" in page
    assert "rt-search is in the draft" in page


def test_what_was_meant_for_a_draft_is_not_published_when_the_draft_is_gone(
    policy, operator
):
    draft = Draft.objects.open(policy).get()
    shown = operator.get(SEARCH).text
    actions.discard_draft(draft, actor=None)
    told = filled("retry", rev="1", max_attempts="5") | {"draft": str(draft.pk)}

    saved = operator.post(SEARCH, told)
    path = f"/policy/rules/rt-search/delete/{HERE}"
    deleted = operator.post(path, {"rev": "1", "draft": str(draft.pk)}, follow=True)

    assert shown.count(f'name="draft" value="{draft.pk}"') == 2
    assert saved.status_code == 409
    for page in (saved.text, deleted.text):
        assert "published or discarded meanwhile" in page
    assert 'name="draft"' not in saved.text
    assert rule_of(policy, "rt-search").document()["max_attempts"] == 3


def test_a_draft_is_opened_published_and_said_in_the_history(policy, at_once):
    at_once.post(f"/policy/drafts/{HERE}", {"title": "calmer"})
    draft = Draft.objects.open(policy).get()
    at_once.post(SEARCH, filled("retry", rev="1", max_attempts="5"))

    at_once.post(f"/policy/drafts/{draft.pk}/publish/{HERE}", {"reason": "less load"})

    assert rule_of(policy, "rt-search").document()["max_attempts"] == 5
    newest = PolicyVersion.objects.of_environment(policy.pk, "default").first()
    assert (newest.number, newest.reason, newest.actor_name) == (4, "less load", "ada")


def test_a_draft_under_which_rules_moved_says_so_and_can_be_rebased(policy, operator):
    draft = Draft.objects.open(policy).get()
    operator.post(SEARCH, filled("retry", rev="1", max_attempts="5"))
    actions.save_rule(policy, "timeout", {"id": "to-all"}, actor=None)
    publish = f"/policy/drafts/{draft.pk}/publish/{HERE}"

    operator.post(publish)
    page = operator.get(f"/policy/{HERE}").text
    operator.post(f"/policy/drafts/{draft.pk}/rebase/{HERE}")
    operator.post(publish)

    assert "Rules changed since this draft was opened" in page
    assert "to-all" in page
    assert rule_of(policy, "rt-search").document()["max_attempts"] == 5


def test_one_edit_is_taken_out_of_a_draft_or_all_of_it_discarded(policy, operator):
    draft = Draft.objects.open(policy).get()
    operator.post(SEARCH, filled("retry", rev="1", max_attempts="5"))
    operator.post(f"/policy/rules/fb-search/delete/{HERE}", {"rev": "1"})

    operator.post(f"/policy/drafts/{draft.pk}/rules/rt-search/take-back/{HERE}")
    assert [change.slug for change in draft.changes.all()] == ["fb-search"]

    operator.post(f"/policy/drafts/{draft.pk}/discard/{HERE}")
    assert not Draft.objects.open(policy).exists()
    assert len(rules_in(policy)) == 2


def test_a_version_is_rolled_back_to(policy, at_once):
    at_once.post(f"/policy/versions/2/rollback/{HERE}", {"reason": "too many"})

    newest = PolicyVersion.objects.of_environment(policy.pk, "default").first()
    assert (newest.number, newest.rollback_of, newest.reason) == (4, 2, "too many")
    assert [view.id for view in rules_in(policy)] == ["rt-search"]


def test_a_rollback_to_what_runs_already_says_so(policy, at_once):
    at_once.post(f"/policy/versions/3/rollback/{HERE}", {"reason": "hm"})

    assert "Not rolled back" in at_once.get(f"/policy/{HERE}").text


# Who may


def path_of(button, project):
    draft = Draft.objects.filter(project=project).first()
    return button.format(draft=draft.pk)


def presses(client, project, buttons=BUTTONS):
    """Every button with its answer, pressed in the project of the address."""
    for button in buttons:
        path = f"{path_of(button, project)}?project={project.slug}"
        yield button, client.post(path, filled("retry", id="x"))


def test_a_viewer_presses_no_button(policy, user, client):
    member_of(policy, user, client, Role.VIEWER)

    for button, answer in presses(client, policy):
        assert answer.status_code == 403, button
    assert len(rules_in(policy)) == 2


def test_a_button_without_a_csrf_token_does_nothing(policy, user):
    client = member_of(policy, user, Client(enforce_csrf_checks=True), Role.OWNER)

    for button, answer in presses(client, policy):
        assert answer.status_code == 403, button
    assert len(rules_in(policy)) == 2


def test_buttons_are_not_links(policy, operator):
    for button in BUTTONS[2:]:
        answer = operator.get(f"{path_of(button, policy)}{HERE}")
        assert answer.status_code == 405, button


@pytest.fixture
def secret(db):
    project = Project.objects.create(
        slug="secret", name="Other", created_at=timezone.now()
    )
    keep_secret_policy(project)
    running(project, "secret-instance", 2, service="secret-service")
    return project


def test_no_page_shows_another_project(policy, secret, operator):
    for path in (*PAGES, "/policy/rules/secret-rule/", "/policy/rollout/data/"):
        joint = "&" if "?" in path else "?"

        own = operator.get(f"{path}{joint}project=acme")
        others = operator.get(f"{path}{joint}project=secret")

        assert others.status_code == 404, path
        assert "secret-" not in own.text, path


def test_no_button_reaches_a_draft_of_another_project(secret, operator):
    for button in (one for one in BUTTONS if "{draft}" in one):
        answer = operator.post(f"{path_of(button, secret)}{HERE}")
        assert answer.status_code == 404, button
    assert Draft.objects.get(project=secret).state == "open"


def test_no_button_works_in_another_project(secret, operator):
    before = RuleChange.objects.filter(project=secret).count()

    for button, answer in presses(operator, secret):
        assert answer.status_code == 404, button
    assert RuleChange.objects.filter(project=secret).count() == before


def test_keys_open_no_page_of_policy(policy):
    key = reader_of(policy, scopes=["read", "write"])

    for path in PAGES:
        assert key.get(path).status_code == 404, path


def test_a_stranger_is_sent_to_the_login(policy):
    for path in PAGES:
        answer = Client().get(path)
        assert answer.status_code == 302, path
        assert answer.headers["location"].startswith("/login/?next=/")


# What it costs


BUDGETS = {
    # Session, user, membership (2), projects, environments, convergence (2 to 4),
    # and a query for each kind of rule.
    "/policy/": 32,
    "/policy/rules/rt-search/": 32,
    "/policy/versions/": 14,
    "/policy/versions/2/": 16,
    "/policy/explain/?service=shop&target=search.web": 14,
    "/policy/rollout/": 16,
    "/instances/": 16,
}


@pytest.mark.parametrize("path", BUDGETS)
def test_a_page_costs_the_same_however_much_there_is(
    policy, operator, path, django_assert_max_num_queries
):
    for number in range(12):
        actions.save_rule(policy, "retry", {"id": f"rt-{number}"}, actor=None)
        running(policy, f"shop-{number}", 3)
    operator.get(path)

    with django_assert_max_num_queries(BUDGETS[path]):
        assert operator.get(path).status_code == 200


def test_forms_read_what_they_show():
    document = {
        "id": "q",
        "mode": "shadow",
        "selector": {"target": {"glob": "search.*"}, "tenant": {"not": ["acme"]}},
        "unit": "usd",
        "limit": "2.50",
        "window": {"period": "P1W", "tz": "UTC", "week_start": "sunday"},
        "per": ["tenant", "agent"],
        "warn_at": [0.5, 0.9],
        "expires_at": "2026-11-20T16:00:30Z",
        "tier": "default",
        "priority": 4,
    }

    read, errors = typed("quota", sent_by_browser(form("quota", document, {})))

    assert errors == {}
    assert read == document | {"window": document["window"] | {"reset_time": "00:00"}}


def sent_by_browser(shown):
    sent = {"id": [shown.id.value], "mode": [shown.mode.value]}
    sent["selector.fact"] = [row.typed.fact for row in shown.conditions]
    sent["selector.test"] = [row.typed.test for row in shown.conditions]
    sent["selector.value"] = [row.typed.value for row in shown.conditions]
    fields = [*shown.first, *shown.more]
    for field in [*fields, *(part for one in fields for part in one.parts)]:
        if isinstance(field.value, (str, list)):
            value = field.value
            sent[field.name] = value if isinstance(value, list) else [value]
    return sent


def test_every_link_of_the_templates_is_a_page_of_ours():
    root = Path(__file__).parents[2] / "templates"
    names = {
        name
        for folder in ("policy", "instances")
        for page in (root / folder).glob("*.html")
        for name in re.findall(r'\{% url "([\w-]+)"', page.read_text())
    }

    assert "policy-rollback" in names
    for name in names:
        kwargs = next(
            given for given in ([], ["x"], [1], [1, "x"]) if reverses(name, given)
        )
        assert reverse(name, args=kwargs)


def reverses(name, given):
    try:
        reverse(name, args=given)
    except Exception:  # noqa: BLE001  the reason does not matter here
        return False
    return True


def test_an_unknown_instance_state_is_not_hidden(policy, operator):
    running(policy, "shop-1", None, state=None)

    page = operator.get(f"/instances/{HERE}").text

    assert "shop-1" in page
    assert Instance.objects.get(uid="shop-1").running_version is None
    assert "behind" in page
