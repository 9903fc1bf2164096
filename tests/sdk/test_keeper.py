"""What becomes of a policy that arrived; an instance never loses the last good one."""

from __future__ import annotations

import json

import pytest

from switchgear.cache import CURRENT, LAST_GOOD, Cache
from switchgear.keeper import SOAK_S, Keeper
from switchgear.policy.errors import PolicyError
from tests.sdk.plane import ISSUED_AT, digest_in, snapshot_body

RETRY = {"id": "retry", "kind": "retry", "selector": {}}
V1, V2, V3 = (snapshot_body(number, RETRY) for number in (1, 2, 3))


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path, endpoint="http://x", service="shop", environment="default")


@pytest.fixture
def make_keeper(holder, cache, trouble, hands):
    def make(**changes):
        return Keeper(
            **{
                "holder": holder,
                "cache": cache,
                "service": "shop",
                "environment": "default",
                "trouble": trouble,
                "timing": hands,
            }
            | changes
        )

    return make


@pytest.fixture
def keeper(make_keeper):
    return make_keeper()


def take(keeper, body: bytes) -> bool:
    return keeper.take(body, digest_in(body))


def test_a_snapshot_runs_and_is_reported(keeper, holder):
    assert take(keeper, V1)

    report = keeper.standing.report()
    assert [one.version for one in holder.adopted] == [1]
    assert (report["state"], report["running_version"]) == ("APPLIED", 1)
    assert report["digest"] == report["running_digest"] == digest_in(V1)


def test_before_anything_came_there_is_no_state(keeper):
    assert keeper.standing.report() == {
        "state": None,
        "running_version": None,
        "running_digest": None,
        "received_version": None,
        "digest": None,
        "failed": None,
    }


NO_SNAPSHOTS = {
    "nothing": b"",
    "a page": b"<html>Bad gateway</html>",
    "no object": b"[1]",
    "a number": b"12",
    "depth": b"[" * 100_000,
    "bytes": bytes(range(256)),
    "half": V2[: len(V2) // 2],
    "altered": V2.replace(b'"max_attempts":3', b'"max_attempts":9'),
    "oversize": V2[:-1] + b'," ":"' + b"x" * (5 * 2**20) + b'"}',
}


@pytest.mark.parametrize("body", NO_SNAPSHOTS.values(), ids=NO_SNAPSHOTS.keys())
def test_what_is_no_snapshot_never_replaces_one(keeper, holder, cache, caplog, body):
    take(keeper, V1)

    assert keeper.take(body, "sha256:bad")

    report = keeper.standing.report()
    assert [one.version for one in holder.adopted] == [1]
    assert report["running_version"] == 1
    assert "sha256:bad" in keeper.known()
    assert len(caplog.records) == 1
    assert cache.read(CURRENT) == V1


def test_what_is_no_policy_at_all_was_not_received(keeper):
    take(keeper, V1)
    before = keeper.standing.report()

    keeper.take(b"<html>Bad gateway</html>", "sha256:bad")

    assert keeper.standing.report() == before


def test_a_policy_that_cannot_be_applied_says_why_and_the_old_one_runs(keeper, holder):
    take(keeper, V1)
    holder.refuses = PolicyError("/rules/0/selector", "is beyond me", "retry")

    assert take(keeper, V2)

    failed = keeper.standing.report()["failed"]
    assert (failed["version"], failed["rule"]) == (2, "retry")
    assert failed["pointer"] == "/rules/0/selector"
    assert "beyond me" in failed["error"]
    assert keeper.standing.running_version == 1


def test_a_rejected_digest_is_left_alone_longer_and_longer(keeper, holder, hands):
    take(keeper, V1)
    holder.refuses = PolicyError("", "no")
    tried = []

    for second in range(0, 2400, 10):
        hands.now = 1000.0 + second
        if take(keeper, V2):
            tried.append(second)

    assert tried == [0, 60, 360, 1260, 2160]


def test_what_is_left_alone_need_not_be_sent(keeper, holder, hands):
    take(keeper, V1)
    holder.refuses = PolicyError("", "no")
    take(keeper, V2)

    assert keeper.known() == (digest_in(V1), digest_in(V2))
    hands.now += 60
    assert keeper.known() == (digest_in(V1),)


def test_a_later_version_runs_and_the_failure_stays_in_the_report(keeper, holder):
    holder.refuses = PolicyError("", "no")
    take(keeper, V2)
    holder.refuses = None

    take(keeper, V3)

    report = keeper.standing.report()
    assert (report["state"], report["running_version"]) == ("APPLIED", 3)
    assert report["failed"]["version"] == 2


def test_what_failed_once_and_runs_now_is_no_failure_any_more(keeper, holder, hands):
    holder.refuses = PolicyError("", "no")
    take(keeper, V2)
    holder.refuses = None
    hands.now += 61

    take(keeper, V2)

    assert keeper.standing.report()["failed"] is None


def test_a_version_never_goes_back(keeper, holder):
    take(keeper, V2)

    assert not take(keeper, V1)

    assert [one.version for one in holder.adopted] == [2]


@pytest.mark.parametrize(
    ("digest", "news"),
    [(digest_in(V3), True), (digest_in(V2), False), (None, True), ("x", True)],
)
def test_only_what_is_new_is_a_reason_to_look(keeper, digest, news):
    take(keeper, V2)

    assert keeper.is_news(digest) is news


def test_a_control_plane_that_counts_anew_is_obeyed(keeper, holder):
    take(keeper, V2)

    assert take(keeper, snapshot_body(1, RETRY, issued_at=ISSUED_AT + 60))

    assert [one.version for one in holder.adopted] == [2, 1]


@pytest.mark.parametrize("wrong", [{"service": "till"}, {"environment": "prod"}])
def test_a_policy_for_somebody_else_is_not_obeyed(keeper, holder, wrong):
    assert take(keeper, snapshot_body(1, RETRY, **wrong))

    assert holder.adopted == []
    assert keeper.standing.report()["failed"]["pointer"] in {"/service", "/environment"}


def test_a_policy_is_trusted_after_its_soak_and_not_before(
    keeper, holder, cache, hands
):
    take(keeper, V1)

    hands.now += SOAK_S - 1
    assert not keeper.look_back()
    assert (holder.trusted, cache.read(LAST_GOOD)) == (None, None)
    hands.now += 1
    assert not keeper.look_back()

    assert holder.trusted.version == 1
    assert cache.read(LAST_GOOD) == V1


def test_a_policy_that_breaks_at_work_is_replaced_by_the_trusted_one(
    keeper, holder, hands, cache
):
    take(keeper, V1)
    hands.now += SOAK_S
    keeper.look_back()
    take(keeper, V2)
    holder.error = "KeyError('x')"

    assert keeper.look_back()

    report = keeper.standing.report()
    assert (report["state"], report["running_version"]) == ("REJECTED", 1)
    assert report["failed"]["version"] == 2
    assert report["failed"]["error"] == "KeyError('x')"
    assert not take(keeper, V2)
    assert cache.read(LAST_GOOD) == V1


def test_the_first_policy_that_breaks_leaves_none(keeper, holder):
    take(keeper, V1)
    holder.error = "KeyError('x')"

    assert keeper.look_back()

    report = keeper.standing.report()
    assert (report["state"], report["running_version"]) == ("REJECTED", None)


def test_a_restart_without_a_control_plane_runs_what_ran(make_keeper, holder):
    take(make_keeper(), V2)

    again = make_keeper()
    again.boot()

    assert [one.version for one in holder.adopted] == [2, 2]
    assert again.standing.running_version == 2


def test_a_bad_policy_fetched_twice_leaves_the_last_good_one_to_restart_on(
    make_keeper, holder, hands, cache
):
    first = make_keeper()
    take(first, V1)
    hands.now += SOAK_S
    first.look_back()
    holder.refuses = PolicyError("", "no")
    take(first, V2)
    hands.now += 61
    take(first, V2)
    holder.refuses = None

    again = make_keeper()
    again.boot()

    assert again.standing.running_version == 1
    assert (cache.read(CURRENT), cache.read(LAST_GOOD)) == (V1, V1)


def test_after_a_restart_a_policy_that_breaks_is_left_for_the_trusted_one_on_disk(
    make_keeper, holder, cache
):
    cache.write(LAST_GOOD, V1)
    cache.write(CURRENT, V2)
    keeper = make_keeper()
    keeper.boot()
    running = keeper.standing.running_version
    holder.error = "KeyError('x')"

    assert keeper.look_back()

    assert (running, keeper.standing.running_version) == (2, 1)


def test_a_policy_that_was_trusted_is_trusted_after_a_restart(
    make_keeper, holder, cache
):
    cache.write(LAST_GOOD, V2)
    cache.write(CURRENT, V2)

    make_keeper().boot()

    assert [one.version for one in holder.adopted] == [2]
    assert holder.trusted.version == 2


def test_a_disk_that_kept_an_older_policy_does_not_take_a_service_back(
    make_keeper, cache
):
    cache.write(LAST_GOOD, V3)
    cache.write(CURRENT, V2)

    keeper = make_keeper()
    keeper.boot()

    assert keeper.standing.running_version == 3


@pytest.mark.parametrize("torn", [b"", b"{", V2[:-5], b"\xff\xfe" * 50])
def test_a_corrupt_file_is_passed_over_for_the_last_good_one(
    make_keeper, cache, torn, caplog
):
    cache.write(LAST_GOOD, V1)
    cache.write(CURRENT, torn)

    keeper = make_keeper()
    keeper.boot()

    assert keeper.standing.running_version == 1
    assert len(caplog.records) == 1


def test_two_corrupt_files_are_one_line_and_no_policy(make_keeper, cache, caplog):
    cache.write(LAST_GOOD, b"x")
    cache.write(CURRENT, b"x")

    keeper = make_keeper()
    keeper.boot()

    assert keeper.standing.running_version is None
    assert len(caplog.records) == 1


def test_a_folder_in_place_of_a_file_is_no_policy(make_keeper, cache, caplog):
    (cache.folder / CURRENT).mkdir(parents=True)

    keeper = make_keeper()
    keeper.boot()
    take(keeper, V1)

    assert keeper.standing.running_version == 1
    assert len(caplog.records) == 1


def test_a_full_disk_is_one_line_for_as_long_as_it_lasts(
    keeper, monkeypatch, caplog, holder
):
    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        take(keeper, V1)
        take(keeper, V2)
    take(keeper, V3)

    assert [one.version for one in holder.adopted] == [1, 2, 3]
    assert [record.message for record in caplog.records] == [
        (
            "switchgear.cache: the policy cannot be kept on disk: "
            "[Errno 28] No space left on device"
        )
    ]


def test_without_a_disk_policies_are_applied_all_the_same(make_keeper, hands, holder):
    keeper = make_keeper(cache=None)
    keeper.boot()

    take(keeper, V1)
    hands.now += SOAK_S
    keeper.look_back()

    assert holder.trusted.version == 1


def test_the_version_of_a_torn_document_is_told_where_it_is_legible(keeper):
    document = json.loads(V2) | {"digest": "sha256:wrong"}

    keeper.take(json.dumps(document).encode(), "sha256:wrong")

    assert keeper.standing.report()["failed"]["version"] == 2
