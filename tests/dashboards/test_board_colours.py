from __future__ import annotations

import pytest
from django.utils import timezone

from controlplane.models import Project
from dashboards import colours
from dashboards.models import EntityColour

pytestmark = pytest.mark.django_db


def test_slots_go_by_rank_of_volume_when_first_seen(project):
    assert colours.slots(project.pk, "tool", ["b", "a"]) == {"b": 1, "a": 2}


def test_a_colour_is_kept_whatever_the_rank_is_later(project):
    colours.slots(project.pk, "tool", ["b", "a"])

    assert colours.slots(project.pk, "tool", ["c", "a", "b"]) == {
        "b": 1,
        "a": 2,
        "c": 3,
    }


def test_the_ninth_has_no_colour_of_its_own(project):
    names = [f"t{n}" for n in range(12)]

    slots = colours.slots(project.pk, "tool", names)

    assert slots == {f"t{n}": n + 1 for n in range(8)}
    assert colours.slots(project.pk, "tool", ["late"]) == slots


def test_projects_and_dimensions_have_colours_of_their_own(project):
    other = Project.objects.create(slug="o", name="O", created_at=timezone.now())
    colours.slots(project.pk, "tool", ["a", "b"])

    assert colours.slots(project.pk, "tenant", ["b"]) == {"b": 1}
    assert colours.slots(other.pk, "tool", ["b"]) == {"b": 1}


def test_a_name_too_long_to_keep_takes_no_slot(project):
    assert colours.slots(project.pk, "tool", ["x" * 401, "a"]) == {"a": 1}


def test_of_two_that_choose_at_once_the_first_choice_holds(project, monkeypatch):
    real = colours._taken

    def another_process_was_first(*key):
        taken = real(*key)
        if not taken:
            EntityColour.objects.create(
                project=project, dimension="tool", name="theirs", slot=1
            )
        return taken

    monkeypatch.setattr(colours, "_taken", another_process_was_first)

    assert colours.slots(project.pk, "tool", ["ours"])["theirs"] == 1


def test_a_colour_says_whose_it_is(project):
    colours.slots(project.pk, "tool", ["a"])

    assert str(EntityColour.objects.get()) == "tool a: slot 1"
