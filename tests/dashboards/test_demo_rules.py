"""The rules that the demo begins with: made once, then whoever edits them has them."""

from __future__ import annotations

import pytest
from django.utils import timezone

from controlplane import actions, rulebook
from controlplane.models import PolicyVersion, RuleChange
from dashboards.demo import world
from dashboards.demo.rules import first_rules
from dashboards.management.commands.demo import make_first_rules
from switchgear.policy.documents.reading import read_rule
from switchgear.policy.review import review
from switchgear.policy.rules import Fallback
from switchgear.policy.rules.selectors import Target
from tests.controlplane.policies import retry

FIRST = first_rules(timezone.now())
RULES = [read_rule(document, strict=False) for document, _ in FIRST]


def found(project):
    return {view.id: view for view in rulebook.rules_in(project)}


@pytest.mark.django_db
def test_the_first_rules_have_an_owner_and_a_reason_each_and_come_together(project):
    make_first_rules(project)

    versions = PolicyVersion.objects.filter(environment__project=project)
    rules = {each.number: each.rule_count for each in versions}
    assert rules == {1: 0, 2: len(FIRST)}
    assert {each.environment.name for each in versions} == {"production"}
    views = found(project)
    assert len(views) == len(FIRST)
    assert all(view.owner and view.reason for view in views.values())


@pytest.mark.django_db
def test_what_a_visitor_edited_is_left_alone(project):
    make_first_rules(project)
    slower = retry("retry-transient", max_attempts=7)
    actions.save_rule(project, "retry", slower, actor=None)
    actions.delete_rule(project, "mail-per-tenant", actor=None)

    make_first_rules(project)

    views = found(project)
    assert views["retry-transient"].rule.max_attempts == 7
    assert "mail-per-tenant" not in views


@pytest.mark.django_db
def test_who_wants_no_rules_gets_none_back(project):
    make_first_rules(project)
    actions.import_rules(project, [], actor=None)

    make_first_rules(project)

    assert found(project) == {}
    assert RuleChange.objects.filter(project=project).count() == 2 * len(FIRST)


def test_nothing_is_to_be_said_against_the_first_rules():
    targets = [Target(None, name) for name in (*world.TOOLS, *world.MODELS)]

    assert review(RULES, targets) == []


def test_whatever_stands_in_can_be_called():
    chains = [rule.chain for rule in RULES if isinstance(rule, Fallback)]

    targets = {hop.target.name for chain in chains for hop in chain}
    assert targets <= {*world.TOOLS, *world.MODELS}
