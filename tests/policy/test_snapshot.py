"""A snapshot is what its digest says, and never larger than clients take."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policy.documents import canonical
from switchgear.policy.documents.snapshot import (
    MAX_BYTES,
    MAX_RULES,
    digest_of,
    read_snapshot,
    seal,
    snapshot_document,
)
from switchgear.policy.errors import PolicyError
from tests.policy.documents import any_rule, document, json_values, rule

each_reading = pytest.mark.parametrize("strict", [True, False])


def sealed(*rules, **fields):
    return seal(
        **{
            "environment": "prod",
            "service": "desk",
            "version": 42,
            "rules": rules or [rule("retry"), rule("kill_switch")],
            "issued_at": 1795176000.0,
        }
        | fields
    )


def resealed(**changes):
    """A document with changes, and a digest that is right for them."""
    given = snapshot_document(sealed()) | changes
    given = {name: each for name, each in given.items() if each is not ...}
    return given | {"digest": digest_of(given)}


def refused(given, *, strict=True):
    with pytest.raises(PolicyError) as caught:
        read_snapshot(given, strict=strict)
    return caught.value


@given(
    st.lists(any_rule, max_size=5, unique_by=lambda each: each.id),
    st.none() | st.integers(1, 41),
    st.sampled_from(["desk", ""]),
)
def test_a_snapshot_survives_its_document(rules, back, service):
    snapshot = sealed(*rules, rules=rules, rollback_of=back, service=service)
    body = canonical.dumps(snapshot_document(snapshot))

    assert read_snapshot(body, strict=True) == snapshot
    assert read_snapshot(body) == snapshot
    assert read_snapshot(json.loads(body), strict=True) == snapshot
    assert snapshot.etag == f'"{snapshot.digest}"'


def test_the_digest_is_that_of_the_document_without_it():
    snapshot = sealed()
    document = snapshot_document(snapshot)

    assert snapshot.digest == digest_of(document)
    assert snapshot.digest.startswith("sha256:")
    assert len(snapshot.digest) == len("sha256:") + 64
    assert digest_of(document | {"version": 43}) != snapshot.digest


def test_the_digest_is_what_other_tools_compute():
    document = {"b": 1.0, "a": [True, None, "é"], "digest": "sha256:0"}

    plain = '{"a":[true,null,"é"],"b":1}'.encode()

    assert digest_of(document) == f"sha256:{sha256(plain).hexdigest()}"


@each_reading
def test_a_document_that_was_tampered_with_is_refused(strict):
    document = snapshot_document(sealed())
    document["rules"][0]["max_attempts"] = 4

    error = refused(document, strict=strict)

    assert error.pointer == "/digest"


def test_what_protects_must_be_understood():
    snapshot = sealed(rule("circuit_breaker"), rule("quota"), rule("retry"))

    assert snapshot.must_understand == ("circuit_breaker", "quota")


def test_a_client_passes_over_unknown_kinds_it_need_not_understand():
    cache = {"id": "c", "kind": "cache", "ttl_s": 60}
    given = resealed(rules=[cache, document("retry")], must_understand=["retry"])

    snapshot = read_snapshot(given)

    assert [each.id for each in snapshot.rules] == ["retry-1"]
    assert refused(given).pointer == "/rules/0/kind"


def test_a_client_refuses_unknown_kinds_it_must_understand():
    cache = {"id": "c", "kind": "cache", "ttl_s": 60}
    given = resealed(rules=[document("retry"), cache], must_understand=["cache"])

    error = refused(given, strict=False)

    assert error.pointer == "/rules/1/kind"
    assert error.rule == "c"


def test_a_client_passes_over_unknown_fields_and_a_server_does_not():
    given = resealed(offline={"max_age_s": 5})

    assert read_snapshot(given).version == 42
    assert refused(given).pointer == "/offline"


@each_reading
@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"api_version": "policy.v2"}, "/api_version"),
        ({"environment": ""}, "/environment"),
        ({"environment": 1}, "/environment"),
        ({"service": None}, "/service"),
        ({"version": 0}, "/version"),
        ({"version": "42"}, "/version"),
        ({"version": True}, "/version"),
        ({"rollback_of": None}, "/rollback_of"),
        ({"rollback_of": 0}, "/rollback_of"),
        ({"issued_at": 1795176000}, "/issued_at"),
        ({"must_understand": "quota"}, "/must_understand"),
        ({"must_understand": [1]}, "/must_understand/0"),
        ({"rules": {}}, "/rules"),
        ({"rules": [1]}, "/rules/0"),
        ({"rules": [None]}, "/rules/0"),
        ({"rules": [{"id": "a"}]}, "/rules/0/kind"),
        ({"rules": [document("retry", rev=0)]}, "/rules/0/rev"),
        ({"rules": [document("retry"), document("retry")]}, "/rules/1/id"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_field_is_refused_with_a_pointer(changes, pointer, strict):
    assert refused(resealed(**changes), strict=strict).pointer == pointer


@each_reading
@pytest.mark.parametrize("name", snapshot_document(sealed()))
def test_a_missing_field_is_refused_by_name(name, strict):
    given = snapshot_document(sealed())
    del given[name]

    error = refused(given, strict=strict)

    assert (error.pointer, error.message) == (f"/{name}", "is required")


def test_a_snapshot_is_never_published_larger_than_clients_take():
    """Pitfall 31: a file over a hard limit of its readers took a network down."""
    many = [rule("retry", f"r{number}") for number in range(MAX_RULES + 1)]
    names = [f"{number:0250}" for number in range(100)]
    large = [
        rule("retry", f"r{number}", selector={"target": names}) for number in range(45)
    ]

    for rules, message in ((many, "at most 2000 rules"), (large, "1048576 bytes")):
        with pytest.raises(PolicyError, match=message):
            sealed(*rules)

    assert sealed(*many[:-1])
    published = snapshot_document(sealed(*large[:40]))
    assert MAX_BYTES * 0.9 < len(canonical.dumps(published)) < MAX_BYTES


def test_the_bound_of_a_snapshot_counts_every_byte_that_is_sent():
    def size(*rules):
        return len(canonical.dumps(snapshot_document(sealed(*rules))))

    def padded(by):
        """One rule whose document is longer by so many bytes."""
        names = [f"{number:0240}" for number in range(by // 243)]
        names.append("x" * (by % 243 + 1))
        return rule("retry", "pad", selector={"target": ["y", *names]})

    lists = [f"{number:0250}" for number in range(100)]
    rules = [rule("retry", f"r{n}", selector={"target": lists}) for n in range(40)]
    room = MAX_BYTES - size(*rules, padded(0))

    assert size(*rules, padded(room)) == MAX_BYTES
    with pytest.raises(PolicyError, match="must be at most 1048576 bytes"):
        sealed(*rules, padded(room + 1))


def test_an_oversized_snapshot_is_refused_before_it_is_read():
    body = b" " * (4 * MAX_BYTES + 1)

    assert "must be at most 4194304 bytes" in refused(body, strict=False).message
    assert "must be at most 1048576 bytes" in refused(body[: 2 * MAX_BYTES]).message
    given = resealed(padding="x" * MAX_BYTES)
    assert "must be at most" in refused(given).message
    assert read_snapshot(given)
    crowd = resealed(rules=[{}] * (4 * MAX_RULES + 1))
    assert (
        refused(crowd, strict=False).message == "must be at most 8000 rules, not 8001"
    )


@each_reading
@given(
    json_values
    | st.binary()
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(
        st.sampled_from(list(snapshot_document(sealed()))), json_values
    ).map(lambda changes: snapshot_document(sealed()) | changes)
)
def test_arbitrary_input_is_read_or_refused_and_nothing_else(strict, given):
    try:
        read_snapshot(given, strict=strict)
    except PolicyError as error:
        refused = error
    else:
        refused = None

    assert refused is None or refused.message


@given(st.dictionaries(st.sampled_from(list(snapshot_document(sealed()))), json_values))
def test_arbitrary_fields_with_a_right_digest_are_read_or_refused(changes):
    try:
        given = resealed(**changes)
        snapshot = read_snapshot(given)
    except PolicyError:
        return

    assert snapshot.digest == digest_of(given)
