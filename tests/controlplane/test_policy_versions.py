from __future__ import annotations

import hashlib
import json
import threading
from itertools import count, pairwise

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane import actions, compiling, rulebook
from controlplane.compiling import Cache, Compiled, compiled_for, snapshot_for
from controlplane.models import AuditEntry, Environment, PolicyVersion, RuleChange
from switchgear.policy.documents.snapshot import read_snapshot
from tests.controlplane.policies import OF_EACH_KIND, quota, retry, timeout


@pytest.fixture
def save(project, user):
    def make(document, **how):
        return actions.save_rule(project, document["kind"], document, actor=user, **how)

    return make


@pytest.fixture
def ask(project):
    def compiled(environment="prod", service="shop"):
        return snapshot_for(project.pk, environment, service)

    return compiled


def versions_of(project, environment="prod"):
    return list(PolicyVersion.objects.of_environment(project.pk, environment))


def rules_said(version):
    """What the version says, whatever the revisions of its rules."""
    documents = json.loads(version.document)["rules"]
    return {each["id"]: each | {"rev": 0} for each in documents}


def test_an_environment_gets_its_first_version_when_it_is_asked_for(project, save, ask):
    ask("staging")
    save(retry())
    assert not Environment.objects.filter(name="prod").exists()

    first = ask()

    assert first.version == 1
    assert [rule.id for rule in read_snapshot(first.body).rules] == ["rt"]
    assert [version.number for version in versions_of(project)] == [1]
    assert AuditEntry.objects.latest("pk").subject == "prod v1"
    assert ask() == first


def test_the_first_edit_is_published_before_any_service_asked(project, save, ask):
    save(retry())

    [version] = versions_of(project, "default")
    assert (version.number, set(rules_said(version))) == (1, {"rt"})
    assert ask("default").version == 1


def test_no_default_is_made_up_where_services_run_elsewhere(project, save, ask):
    ask("prod")
    save(retry())

    assert [each.name for each in Environment.objects.all()] == ["prod"]


def test_the_digest_is_of_the_bytes_and_is_the_etag(save, ask):
    save(retry())
    compiled = ask()

    document = json.loads(compiled.body)
    claimed = document.pop("digest")
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    assert claimed == f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
    assert (compiled.digest, compiled.etag) == (claimed, f'"{claimed}"')


def test_a_service_is_told_what_may_concern_it_and_no_more(save, ask):
    save(retry("all"))
    save(retry("shop", selector={"service": ["shop", "cart"]}))
    save(retry("not-shop", selector={"service": {"not": ["shop"]}}))
    save(retry("globbed", selector={"service": {"glob": "sh*"}}))
    save(retry("elsewhere", selector={"environment": "staging"}))

    told = {rule.id for rule in read_snapshot(ask(service="shop").body).rules}
    others = {rule.id for rule in read_snapshot(ask(service="mail").body).rules}

    assert told == {"all", "shop", "globbed"}
    assert others == {"all", "not-shop"}


def test_services_that_are_told_differently_have_different_digests(save, ask):
    save(retry("shop", selector={"service": "shop"}))

    assert ask(service="shop").digest != ask(service="mail").digest


def test_asking_again_costs_one_query(save, ask, django_assert_num_queries):
    save(retry())
    ask()

    with django_assert_num_queries(1):
        ask()


def test_a_version_that_was_tampered_with_is_not_told(project, save, ask):
    save(retry(max_attempts=3))
    ask("other")
    version = versions_of(project, "other")[0]
    version.document = version.document.replace('"max_attempts":3', '"max_attempts":9')

    with pytest.raises(ValueError, match="is not that of this document"):
        compiled_for(version, "a service that did not ask before")


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\0b", "a\nb"])
def test_an_environment_of_an_impossible_name_is_refused(project, ask, name):
    with pytest.raises(actions.PolicyRefused) as refused:
        ask(name)

    with pytest.raises(actions.PolicyRefused):
        actions.roll_back(project, name, 1, actor=None)

    assert refused.value.pointer == "/environment"
    assert not Environment.objects.exists()


@pytest.mark.parametrize("name", ["", "x" * 201, "a\0b"])
def test_a_service_of_an_impossible_name_is_refused(ask, name):
    with pytest.raises(actions.PolicyRefused) as refused:
        ask(service=name)

    assert refused.value.pointer == "/service"


def test_made_up_environments_do_not_fill_the_database(project, ask, monkeypatch):
    monkeypatch.setattr("controlplane.actions.policy.MOST_ENVIRONMENTS", 2)
    ask("one")
    ask("two")

    with pytest.raises(actions.PolicyRefused, match="at most 2 environments"):
        ask("three")

    assert ask("two").version == 1


def test_rolling_back_is_a_new_version_with_what_the_old_one_said(
    project, save, ask, user
):
    ask()
    save(retry(max_attempts=2, owner="team-a"))
    save(timeout(timeout_ms=100))
    actions.delete_rule(project, "to", actor=user)
    save(retry(max_attempts=9, owner="team-b"))
    save(quota())

    made = actions.roll_back(project, "prod", 3, actor=user, reason="too many")

    assert (made.number, made.rollback_of, made.reason) == (7, 3, "too many")
    third = versions_of(project)[-3]
    assert third.number == 3
    assert rules_said(made) == rules_said(third)
    assert read_snapshot(ask().body).rollback_of == 3
    assert AuditEntry.objects.latest("pk").action == "policy.rolled_back"


def test_rolling_back_sets_the_rules_back_too(project, save, ask, user):
    ask()
    save(retry(max_attempts=2, owner="team-a"))
    save(retry(max_attempts=9, owner="team-b"))
    save(quota())

    made = actions.roll_back(project, "prod", 2, actor=user)

    [view] = rulebook.rules_in(project)
    assert (view.rule.max_attempts, view.owner, view.rev) == (2, "team-a", 3)
    assert compiling.snapshot_of(made).rules == (view.rule,)
    # So the next edit builds on what runs.
    save(timeout())
    assert set(rules_said(versions_of(project)[0])) == {"rt", "to"}


def test_rolling_back_can_itself_be_rolled_back(project, save, ask, user):
    ask()
    save(retry(max_attempts=2))
    save(retry(max_attempts=9))
    actions.roll_back(project, "prod", 2, actor=user)

    again = actions.roll_back(project, "prod", 3, actor=user)

    assert again.number == 5
    assert rules_said(again)["rt"]["max_attempts"] == 9


def test_rules_of_other_environments_stay_when_one_rolls_back(project, save, ask, user):
    ask("prod")
    ask("staging")
    save(retry("both", max_attempts=2))
    save(retry("staging", max_attempts=2, selector={"environment": "staging"}))
    save(retry("both", max_attempts=9))
    save(retry("staging", max_attempts=9, selector={"environment": "staging"}))

    made = actions.roll_back(project, "prod", 2, actor=user)

    assert made.environment.name == "prod"
    staging = versions_of(project, "staging")[0]
    assert rules_said(staging)["staging"]["max_attempts"] == 9
    # The rule is about both environments, so it is set back in both.
    assert rules_said(staging)["both"]["max_attempts"] == 2
    assert staging.rollback_of is None
    assert staging.reason == "prod back to v2"


def test_a_rule_that_came_over_from_elsewhere_goes_back_there(project, save, ask, user):
    ask("prod")
    ask("staging")
    save(retry("rt", selector={"environment": "staging"}))
    save(retry("rt", selector={"environment": ["prod", "staging"]}))

    actions.roll_back(project, "prod", 1, actor=user)

    assert rules_said(versions_of(project, "prod")[0]) == {}
    assert set(rules_said(versions_of(project, "staging")[0])) == {"rt"}


def test_a_whole_goes_back_with_its_part(project, save, ask, user):
    """It is about another environment, but charged for calls of this one."""
    ask()
    elsewhere = {"environment": "staging"}
    save(quota("whole", limit="100", selector=elsewhere))
    save(quota("part", limit="50", parent="whole", selector={"environment": "prod"}))
    save(quota("whole", limit="10", selector=elsewhere))

    made = actions.roll_back(project, "prod", 2, actor=user)

    assert rules_said(made)["whole"]["limit"] == "100"


def test_a_rule_that_was_of_another_kind_is_that_again(project, save, ask, user):
    ask()
    save(retry("x"))
    actions.delete_rule(project, "x", actor=user)
    save(timeout("x"))

    made = actions.roll_back(project, "prod", 2, actor=user)

    assert rules_said(made)["x"]["kind"] == "retry"
    assert [view.kind for view in rulebook.rules_in(project)] == ["retry"]


def test_going_back_to_what_runs_already_is_refused(project, save, ask, user):
    ask()
    save(retry())

    with pytest.raises(actions.PolicyRefused, match="says already"):
        actions.roll_back(project, "prod", 2, actor=user)

    assert len(versions_of(project)) == 2


def test_one_cannot_go_back_to_what_never_was(project, save, ask, user):
    ask()

    for number in (7, 0, -1, 10**30):
        with pytest.raises(actions.PolicyRefused, match="prod has no version"):
            actions.roll_back(project, "prod", number, actor=user)


def test_a_refused_rollback_leaves_no_trace(project, save, ask, user):
    """The chain of now and the one of then would come back to their beginning."""
    ask("prod")
    staging = {"environment": "staging"}
    chain = [{"target": "tool:b"}]
    save(
        {
            "id": "there",
            "kind": "fallback",
            "selector": {"target": "tool:a", "environment": "prod"},
            "chain": chain,
        }
    )
    actions.delete_rule(project, "there", actor=user)
    save(
        {
            "id": "back",
            "kind": "fallback",
            "selector": {"target": "tool:b"} | staging,
            "chain": [{"target": "tool:a"}],
        }
    )
    save(
        {
            "id": "back",
            "kind": "fallback",
            "selector": {"target": "tool:b", "environment": "prod"},
            "chain": [{"target": "tool:a"}],
        }
    )
    changes = RuleChange.objects.count()
    # Going back to v2 takes `back` away from prod too, so nothing closes a circle.
    made = actions.roll_back(project, "prod", 2, actor=user)

    assert set(rules_said(made)) == {"there"}
    assert RuleChange.objects.count() == changes + 2


edits = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["retry", "timeout", None]),
    st.sampled_from([{}, {"environment": "prod"}, {"environment": ["prod", "dev"]}]),
    st.sampled_from(["", "ada", "bob"]),
)
serial = count()


def edit(project, slug, kind, selector, owner):
    current = {view.id: view.kind for view in rulebook.rules_in(project)}
    if slug in current and kind != current[slug]:
        actions.delete_rule(project, slug, actor=None)
    if kind is not None:
        document = {"id": slug, "selector": selector, "owner": owner}
        actions.save_rule(project, kind, document, actor=None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(edits, min_size=1, max_size=8), data=st.data())
def test_whatever_was_edited_one_can_go_back_and_rules_and_versions_agree(
    db, made, data
):
    project = actions.create_project(f"law {next(serial)}", actor=None)
    for name in ("prod", "dev"):
        snapshot_for(project.pk, name, "shop")
    for each in made:
        edit(project, *each)
    target = data.draw(st.sampled_from(versions_of(project, "prod")))

    try:
        back = actions.roll_back(project, "prod", target.number, actor=None)
    except actions.PolicyRefused:
        back = versions_of(project, "prod")[0]

    assert rules_said(back) == rules_said(target)
    views = rulebook.rules_in(project)
    for name in ("prod", "dev"):
        told = compiling.snapshot_of(versions_of(project, name)[0]).rules
        rules = [view.rule for view in views]
        assert list(told) == rulebook.concerning(rules, environment=name)


def test_publishing_again_changes_nothing(project, save, ask, user):
    ask()
    save(retry())

    published = actions.publish(project, actor=user)

    assert (published.changes, published.versions) == ([], [])


def test_publishing_mends_what_other_hands_did(project, save, ask, user):
    ask()
    save(retry())
    versions_of(project)[0].delete()

    [version] = actions.publish(project, actor=user, reason="restored").versions

    assert (version.number, version.reason) == (2, "restored")
    assert set(rules_said(version)) == {"rt"}


def test_all_kinds_survive_the_way_to_the_service(save, ask):
    views = [save(document) for document in OF_EACH_KIND]

    told = read_snapshot(ask().body, strict=True)

    assert {rule.id: rule for rule in told.rules} == {v.id: v.rule for v in views}


def test_any_two_versions_are_compared_in_sentences(project, save, ask, user):
    ask()
    save(retry(max_attempts=3))
    save(retry(max_attempts=5))
    save(timeout())
    first, *_, last = versions_of(project)[::-1]
    second = versions_of(project)[-2]

    said = "\n".join(map(str, compiling.compare(second, last)))

    assert "3 -> 5" in said
    assert "to" in said
    assert compiling.compare(last, last) == []
    assert len(compiling.compare(None, second)) == 1
    assert compiling.compare(None, first) == []


def test_memory_for_snapshots_is_bounded():
    cache = Cache(most=250)
    for name in "abcd":
        cache.put((name, ""), Compiled(1, name, name, b"x" * 100))

    kept = [name for name in "abcd" if cache.get((name, ""))]

    assert kept == ["c", "d"]


def test_what_is_put_into_memory_twice_is_counted_once():
    cache = Cache(most=250)
    for name in "aaab":
        cache.put((name, ""), Compiled(1, name, name, b"x" * 100))

    assert cache.get(("a", "")) is not None
    assert cache.get(("b", "")) is not None


def test_what_is_asked_for_often_stays_in_memory():
    cache = Cache(most=250)
    for name in "abc":
        cache.put((name, ""), Compiled(1, name, name, b"x" * 100))
        cache.get(("a", ""))

    assert cache.get(("a", "")) is not None
    assert cache.get(("b", "")) is None


@pytest.mark.django_db(transaction=True)
def test_operators_who_save_at_once_get_versions_that_hold_both_edits(project, ask):
    ask()
    start = threading.Barrier(4)
    failures = []

    def operate(number):
        try:
            start.wait(10)
            for turn in range(3):
                actions.save_rule(
                    project,
                    "retry",
                    retry(f"rt-{number}", max_attempts=turn + 1),
                    actor=None,
                    actor_name=f"operator {number}",
                )
        except Exception as error:  # noqa: BLE001  a thread cannot fail the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=operate, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    versions = versions_of(project)[::-1]
    assert [version.number for version in versions] == list(range(1, 14))
    seen = [set(rules_said(version)) for version in versions]
    assert all(earlier <= later for earlier, later in pairwise(seen))
    assert seen[-1] == {f"rt-{n}" for n in range(4)}
    changed = [change.after for change in RuleChange.objects.order_by("pk")]
    assert len(changed) == 12


@pytest.mark.django_db(transaction=True)
def test_instances_that_ask_at_once_are_told_the_same_first_version(project):
    start = threading.Barrier(4)
    answers = []

    def ask():
        start.wait(10)
        answers.append(snapshot_for(project.pk, "new", "shop"))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(answers) == 4
    assert len(set(answers)) == 1
    assert len(versions_of(project, "new")) == 1


@pytest.mark.django_db(transaction=True)
def test_two_edits_of_the_same_revision_do_not_both_win(project):
    actions.save_rule(project, "retry", retry(), actor=None)
    start = threading.Barrier(2)
    ends = []

    def edit(attempts):
        start.wait(10)
        try:
            actions.save_rule(
                project, "retry", retry(max_attempts=attempts), actor=None, rev=1
            )
            ends.append("saved")
        except actions.RuleChanged:
            ends.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=edit, args=(n,)) for n in (5, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(ends) == ["refused", "saved"]
    assert timezone.now() >= RuleChange.objects.latest("pk").changed_at
