"""What instances say becomes what we hold, whatever the order it comes in."""

from __future__ import annotations

import itertools

import pytest

from controlplane.acks import Failed, Held, Report, merged

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


def report(state=None, *, boot="b1", **fields) -> Report:
    return Report("i1", boot, "checkout", state=state, **fields)


def after(*reports: Report) -> Held:
    held = None
    for each in reports:
        held = merged(held, each)
    return held


RUNS_41 = report("APPLIED", running_version=41, received_version=41, digest=A)
GOT_42 = report("RECEIVED", running_version=41, received_version=42, digest=B)
RUNS_42 = report("APPLIED", running_version=42, received_version=42, digest=B)
REFUSES_42 = report(
    "REJECTED",
    running_version=41,
    received_version=42,
    digest=B,
    failed=Failed(42, rule="fb-model", pointer="/rules/3/chain", error="unknown kind"),
)


def test_running_received_and_failed_versions_are_kept_apart():
    held = after(RUNS_41, GOT_42, REFUSES_42)

    assert (held.running_version, held.running_digest) == (41, A)
    assert (held.received_version, held.received_digest) == (42, B)
    assert (held.failed_version, held.failed_digest) == (42, B)
    assert (held.failed_rule, held.failed_pointer) == ("fb-model", "/rules/3/chain")
    assert held.failed_error == "unknown kind"


def test_what_was_tried_is_still_known_after_a_later_version_runs():
    runs_43 = report("APPLIED", running_version=43, received_version=43, digest=C)

    held = after(RUNS_41, REFUSES_42, runs_43)

    assert (held.state, held.running_version) == ("APPLIED", 43)
    assert (held.failed_version, held.failed_error) == (42, "unknown kind")


def test_a_version_that_is_taken_after_all_has_not_failed():
    held = after(RUNS_41, REFUSES_42, RUNS_42)

    assert (held.running_version, held.failed_version) == (42, None)
    assert (held.failed_digest, held.failed_error) == ("", "")


def test_a_new_life_forgets_what_the_last_one_refused():
    held = after(RUNS_41, REFUSES_42, report(boot="b2"))

    assert held == Held("b2")


def test_a_heartbeat_that_repeats_less_keeps_the_reason():
    bare = report("REJECTED", running_version=41, received_version=42)

    held = after(RUNS_41, REFUSES_42, bare)

    assert held == after(RUNS_41, REFUSES_42)


def test_a_refusal_without_a_reason_still_names_the_digest():
    held = after(report("REJECTED", received_version=42, digest=B))

    assert (held.failed_version, held.failed_digest) == (42, B)


@pytest.mark.parametrize("last", [RUNS_42, REFUSES_42], ids=["applied", "rejected"])
def test_no_order_and_no_doubling_makes_an_instance_go_backwards(last):
    told = [RUNS_41, GOT_42, last]
    expected = after(*told)

    for order in itertools.permutations(told * 2):
        held, received = None, []
        for each in order:
            held = merged(held, each)
            received.append(held.received_version)
        assert received == sorted(received)
        assert held.state == last.state
        assert held.running_version == expected.running_version
        assert held.failed_version == expected.failed_version


def test_the_digest_of_what_failed_stays_while_later_versions_come():
    runs_43 = report(
        "APPLIED",
        running_version=43,
        received_version=43,
        digest=C,
        failed=REFUSES_42.failed,
    )
    of_old = report(boot="b2", received_version=43, digest=C, failed=Failed(42))

    assert after(RUNS_41, REFUSES_42, runs_43).failed_digest == B
    assert after(RUNS_41, of_old).failed_digest == ""


def test_a_local_override_shows_in_the_running_digest():
    held = after(
        RUNS_41,
        report(
            "APPLIED",
            running_version=42,
            running_digest=C,
            received_version=42,
            digest=B,
        ),
    )

    assert (held.running_digest, held.received_digest) == (C, B)


def test_digests_of_a_version_are_kept_while_it_stays():
    held = after(
        RUNS_41, report("APPLIED", running_version=41, received_version=41, sdk="x")
    )

    assert (held.running_digest, held.received_digest, held.sdk) == (A, A, "x")


def test_long_words_are_cut_and_take_no_nul():
    told = Failed(42, rule="r" * 500, pointer="/" * 500, error="\0e" * 5_000)

    held = after(report("REJECTED", received_version=42, digest=B, failed=told))

    assert len(held.failed_rule) == 100
    assert len(held.failed_pointer) == 300
    assert held.failed_error == "e" * 1000
