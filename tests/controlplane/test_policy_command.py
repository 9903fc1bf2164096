from __future__ import annotations

import json
from io import BytesIO, StringIO, TextIOWrapper
from itertools import count

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane import actions, policyfile, rulebook
from controlplane.compiling import snapshot_for
from controlplane.models import AuditEntry, PolicyVersion, RuleChange
from switchgear.policy.documents.snapshot import seal
from tests.controlplane.policies import OF_EACH_KIND, fallback, retry, timeout


@pytest.fixture
def save(project):
    def make(document, **how):
        return actions.save_rule(project, document["kind"], document, actor=None, **how)

    return make


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rules.json"


@pytest.fixture
def load(file):
    """Import a file with these rules; returns what was printed."""

    def run(*rules, project="Acme", options=()):
        document = {"api_version": "policy.v1", "rules": list(rules)}
        file.write_text(json.dumps(document))
        out = StringIO()
        call_command(
            "policy", "import", str(file), "--project", project, *options, stdout=out
        )
        return out.getvalue()

    return run


def digest_of(project):
    """What the rules of a project are as a snapshot, whenever it was made."""
    rules = [view.rule for view in rulebook.rules_in(project)]
    return seal(
        environment="prod", service="", version=1, rules=rules, issued_at=0.0
    ).digest


def exported(project_name):
    out = StringIO()
    call_command("policy", "export", "-", "--project", project_name, stdout=out)
    return out.getvalue()


def test_what_is_exported_and_imported_elsewhere_is_the_same_policy(
    project, save, file
):
    for document in OF_EACH_KIND:
        save(document | {"owner": f"team {document['kind']}"})
    save(OF_EACH_KIND[0] | {"max_attempts": 7})
    other = actions.create_project("Other", actor=None)

    call_command("policy", "export", str(file), "--project", "Acme")
    call_command("policy", "import", str(file), "--project", "Other")

    assert digest_of(other) == digest_of(project)
    assert exported("Other") == exported("Acme")


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=9
)
conditions = st.one_of(
    texts,
    st.lists(texts, min_size=1, max_size=3, unique=True),
    st.builds(lambda text: {"glob": f"{text}*"}, texts),
    st.builds(lambda text: {"not": [text]}, texts),
)
selectors = st.dictionaries(
    st.sampled_from(["tenant", "service", "environment", "agent"]), conditions
)
common = st.fixed_dictionaries(
    {
        "selector": selectors,
        "priority": st.integers(-1_000_000, 1_000_000),
        "tier": st.sampled_from(["override", "normal", "default"]),
        "mode": st.sampled_from(["enforce", "shadow", "off"]),
        "owner": st.sampled_from(["", "team-search", "Zoë"]),
    }
)
decimals = st.decimals(min_value=0, max_value=10**14, places=9).map(lambda d: f"{d:f}")
kinds = st.one_of(
    st.builds(
        lambda attempts, factor: {
            "kind": "retry",
            "max_attempts": attempts,
            "exponential_backoff_multiplier": factor,
        },
        st.integers(1, 10),
        st.floats(1, 10),
    ),
    st.builds(
        lambda limit, share: {
            "kind": "quota",
            "unit": "usd",
            "limit": limit,
            "warn_at": [share],
        },
        decimals,
        st.floats(0.01, 1),
    ),
    st.builds(
        lambda most: {"kind": "run_budget", "max_usd": most},
        decimals,
    ),
)
policies = st.lists(st.builds(lambda a, b: a | b, common, kinds), max_size=8)
serial = count()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=policies)
def test_any_policy_survives_a_file(db, documents):
    turn = next(serial)
    first = actions.create_project(f"first {turn}", actor=None)
    second = actions.create_project(f"second {turn}", actor=None)
    for number, document in enumerate(documents):
        named = document | {"id": f"rule-{number}"}
        actions.save_rule(first, named["kind"], named, actor=None)

    text = policyfile.exported(first)
    actions.import_rules(second, policyfile.read(text.encode()), actor=None)

    assert digest_of(second) == digest_of(first)
    assert policyfile.exported(second) == text


def test_a_file_may_come_through_a_pipe(project, save, monkeypatch):
    save(retry("rt", max_attempts=4))
    text = exported("Acme")
    actions.delete_rule(project, "rt", actor=None)
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(text.encode())))

    call_command("policy", "import", "-", "--project", "Acme", stdout=StringIO())

    [view] = rulebook.rules_in(project)
    assert (view.rule.max_attempts, view.rev) == (4, 3)


def test_an_import_is_one_edit_of_the_whole(project, save, load):
    snapshot_for(project.pk, "prod", "shop")
    stays = retry("stays", selector={"tenant": "acme"})
    save(stays)
    save(retry("changes", max_attempts=3))
    save(retry("goes"))

    printed = load(stays, retry("changes", max_attempts=5), timeout("comes"))

    assert {view.id for view in rulebook.rules_in(project)} == {
        "stays",
        "changes",
        "comes",
    }
    assert "3 -> 5" in printed
    assert "goes" in printed
    assert "comes" in printed
    assert "stays" not in printed
    assert printed.endswith("Published prod v5.\n")
    assert AuditEntry.objects.latest("pk").action == "policy.imported"


def test_a_dry_run_says_the_same_and_changes_nothing(project, save, load):
    snapshot_for(project.pk, "prod", "shop")
    save(retry("rt", max_attempts=3))
    before = RuleChange.objects.count(), AuditEntry.objects.count()

    printed = load(retry("rt", max_attempts=5), options=["--dry-run"])

    assert "3 -> 5" in printed
    assert "would publish prod v3" in printed
    assert rulebook.rules_in(project)[0].rule.max_attempts == 3
    assert (RuleChange.objects.count(), AuditEntry.objects.count()) == before
    assert PolicyVersion.objects.count() == 2


def test_a_dry_run_refuses_what_the_import_would(project, save, load):
    circle = fallback("a", "tool:a", "tool:b"), fallback("b", "tool:b", "tool:a")

    with pytest.raises(CommandError, match="/chain"):
        load(*circle, options=["--dry-run"])


def test_importing_what_is_there_changes_nothing(project, save, load):
    save(retry("rt"))

    assert load(retry("rt")) == "Nothing to change.\n"
    assert RuleChange.objects.count() == 1


def test_an_import_that_changes_an_owner_says_so(project, save, load):
    save(retry("rt", owner="a"))

    assert "rt: its owner" in load(retry("rt", owner="b"))


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        ([retry("a", max_attempts=99)], "rules.json/rules/0/max_attempts"),
        ([retry("a"), retry("a")], "rules.json/rules/1/id: a is there twice"),
        ([retry("a"), 5], "rules.json/rules/1: must be an object"),
        ([retry("a", rev=1_000_001)], "rules.json/rules/0/rev"),
        ([{"id": "a", "kind": "magic"}], "rules.json/rules/0/kind"),
        ([retry("a", owner=None)], "rules.json/rules/0/owner"),
    ],
)
def test_a_bad_rule_is_named_by_its_place_in_the_file(project, load, rules, where):
    with pytest.raises(CommandError) as refused:
        load(*rules)

    assert where in str(refused.value)
    assert rulebook.rules_in(project) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"rules": []}',
        '{"api_version": "policy.v2", "rules": []}',
        '{"api_version": "policy.v1"}',
        '{"api_version": "policy.v1", "rules": {}}',
        '{"api_version": "policy.v1", "rules": [], "more": 1}',
        '{"api_version": "policy.v1", "rules": [], "rules": []}',
        '{"api_version": "policy.v1", "rules": [{"id": NaN}]}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:50] or "empty",
)
def test_a_file_that_is_no_policy_removes_nothing(project, save, file, content):
    save(retry())
    file.write_text(content)

    with pytest.raises(CommandError):
        call_command("policy", "import", str(file), "--project", "Acme")

    assert len(rulebook.rules_in(project)) == 1


def test_a_project_or_a_file_that_is_not_there_is_an_error(project, tmp_path):
    with pytest.raises(CommandError, match="no project"):
        call_command("policy", "export", "-", "--project", "Nobody")
    with pytest.raises(CommandError, match="No such file"):
        call_command(
            "policy", "import", str(tmp_path / "none.json"), "--project", "Acme"
        )


def test_warnings_are_printed_with_the_import(project, load):
    printed = load(retry("one", max_attempts=3), retry("two", max_attempts=4))

    assert "Warning: " in printed


def test_a_new_rule_brings_its_revision_and_one_that_was_here_counts_on(
    project, save, load
):
    save(retry("here"))

    load(retry("here", max_attempts=4, rev=70), retry("new", rev=70))

    revisions = {view.id: view.rev for view in rulebook.rules_in(project)}
    assert revisions == {"here": 2, "new": 70}
