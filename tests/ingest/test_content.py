"""What may be stored: secrets masked, NUL mended, huge values cut, the rest kept."""

from __future__ import annotations

import logging
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import content, masking
from ingest.content import MASKED, MAX_VALUE_BYTES, REPAIRED, TRUNCATED, protect
from ingest.otlp.schema import ExportRequest
from tests.ingest.otlp import export, pairs, spans_of

# Put together here, so that no scanner takes this file for a leak.
WORD = "Zx9" * 16
SECRETS = {
    "openai": f"sk-proj-{WORD}",
    "openai old": f"sk-{WORD}",
    "anthropic": f"sk-ant-api03-{WORD}-{WORD}",
    "groq": f"gsk_{WORD}",
    "switchgear": f"sg_0123abcd_{WORD}",
    "aws": "AKIA" + "Q7" * 8,
    "aws session": "ASIA" + "Q7" * 8,
    "github": f"ghp_{WORD}",
    "github app": f"ghs_{WORD}",
    "github fine": f"github_pat_{WORD}",
    "gitlab": "glpat-" + "aB3_-" * 4,
    "slack": "xoxb-123456789012-abcdefABCDEF",
    "google": "AIza" + "b_-9X" * 7,
    "stripe": f"sk_live_{WORD}",
    "stripe restricted": f"rk_live_{WORD}",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXdpdGhfLQ",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEvQ+/=\n"
    "-----END RSA PRIVATE KEY-----",
    "pem cut": "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG",
    "openssh": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n"
    "-----END OPENSSH PRIVATE KEY-----",
    "bearer": "Bearer 0123abcd-4567",
    "bearer words": "bearer abcdefghijklmnopqrstuvwx",
    "basic": "Authorization: Basic dXNlcjpwYXNzd29yZA==",
    "url password": "postgres://app:p@ss%3Aw0rd@db.internal:5432/app",
    "redis password": "redis://:hunter2-hunter2@cache:6379/0",
}
# What must not be left of them.
CORES = {
    "bearer": "0123abcd",
    "bearer words": "abcdefghijkl",
    "basic": "dXNlcjpwYXNz",
    "url password": "w0rd",
    "redis password": "hunter2",
    "pem": "MIIEvQ",
    "pem cut": "MIIEvQ",
    "openssh": "b3BlbnNz",
}
HARMLESS = [
    "task-management-and-scheduling-of-everything",
    "risk-free-evaluation-of-all-the-models-here",
    "bearer of bad news",
    "the bearer authentication scheme",
    "Bearer",
    "basic understanding",
    "https://api.example.com:8443/v1/chat?x=1",
    "mail me at a@b.example: soon",
    "http://host:80/path/@scope/package",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "AKIASHORT",
    "eyJhbGciOiJIUzI1NiJ9",
    "sk-short",
    "xoxb-",
    "x" * 3_000,
    "طقس 😀 Wetter",
]


def protected(*spans, **others):
    """The message and the bytes after the content policy."""
    raw = export(*spans, **others).SerializeToString()
    request = ExportRequest.FromString(raw)
    return request, protect(request, raw)


def core_of(name):
    return CORES.get(name, SECRETS[name])


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    "around",
    ["{}", "before {} after", '{{"a":"{}"}}', "line\\n{}\\n", "ä{}😀", "k={};"],
)
def test_a_secret_of_known_shape_is_masked_wherever_it_stands(name, around):
    text = around.format(SECRETS[name])
    if name in {"url password", "redis password"} and around == "ä{}😀":
        text = f"ä {SECRETS[name]}"

    kept = masking.mask(text.encode()).decode()

    assert core_of(name) not in kept
    assert "[masked:" in kept
    assert kept[:1] == around[:1] or around.startswith("{")


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays_as_it_is(text):
    assert masking.mask(text.encode()) == text.encode()


def test_what_is_no_secret_about_it_stays_readable():
    masked = masking.mask(b"url=postgres://app:pw@db/app Bearer abcdefgh1 end")

    assert masked == (
        b"url=postgres://app:[masked:url_password]@db/app "
        b"Bearer [masked:bearer_token] end"
    )


PLACES = {
    "attribute": lambda text: {"attributes": {"a": text}},
    "key": lambda text: {"attributes": {text: 1}},
    "array": lambda text: {"attributes": {"a": ["x", [text]]}},
    "kvlist": lambda text: {"attributes": {"a": {"b": {"c": text}}}},
    "kvlist key": lambda text: {"attributes": {"a": {text: 1}}},
    "bytes": lambda text: {"attributes": {"a": b"\xff\xfe " + text.encode()}},
    "event": lambda text: {"events": [("exception", {"exception.message": text})]},
    "event name": lambda text: {"events": [(text, {})]},
    "name": lambda text: {"name": text},
    "status": lambda text: {"message": text},
}


@pytest.mark.parametrize("place", PLACES)
def test_secrets_are_masked_in_every_place_of_a_span(place):
    secret = SECRETS["github"]

    request, wire = protected({"name": "clean"}, PLACES[place](f"x {secret}"))

    assert secret.encode() not in wire
    assert ExportRequest.FromString(wire) == request
    clean, guilty = spans_of(request)
    assert (clean.name, MASKED in clean.attributes) == ("clean", False)
    assert guilty.attributes[MASKED].int_value == 1


def test_secrets_are_masked_around_spans():
    secret = SECRETS["aws"]
    request = export({}, resource={"env": secret})
    group = request.resource_spans[0]
    group.schema_url = group.scope_spans[0].schema_url = f"http://x/{secret}"
    scope = group.scope_spans[0].scope
    scope.name, scope.version = secret, secret
    scope.attributes.extend(pairs({"a": secret}))
    span = group.scope_spans[0].spans[0]
    span.trace_state = f"a={secret}"
    span.links.add(trace_state=secret, attributes=pairs({"a": secret}))
    message = ExportRequest.FromString(request.SerializeToString())

    wire = protect(message)

    assert secret.encode() not in wire
    (saved,) = message.resource_spans
    assert saved.resource.attributes["env"].string_value == "[masked:aws_key]"
    assert saved.resource.attributes[MASKED].int_value == 1
    assert saved.scope_spans[0].scope.attributes[MASKED].int_value == 3


def test_ids_are_never_taken_for_text():
    trace_id = b"AKIA" + b"Q" * 12
    request, _ = protected(
        {"trace_id": trace_id, "attributes": {"a": SECRETS["aws"]}},
    )

    assert spans_of(request)[0].trace_id == trace_id


def test_a_secret_in_a_field_that_nobody_declares_is_not_stored():
    secret = SECRETS["slack"].encode()
    raw = export({}).SerializeToString() + b"\x7a" + bytes([len(secret)]) + secret
    request = ExportRequest.FromString(raw)

    assert secret not in protect(request, raw)


def test_a_clean_export_is_kept_byte_for_byte():
    spans = [{"attributes": {"a": text, text: 1}, "name": text} for text in HARMLESS]
    raw = export(*spans).SerializeToString()
    request = ExportRequest.FromString(raw)

    assert protect(request, raw) is raw


def test_an_export_without_received_bytes_is_serialised():
    request = ExportRequest.FromString(export({}).SerializeToString())

    assert ExportRequest.FromString(protect(request)) == request


def test_numbers_ids_and_times_with_zero_bytes_are_no_nul():
    attributes = {"zero": 0, "no": False, "x": 1.0, "empty": "", "list": [0, 1.0, ""]}
    raw = export(
        {"trace_id": b"\x01" + b"\0" * 15, "span_id": b"\x01" + b"\0" * 7},
        {"attributes": attributes, "parent_span_id": b"\x01" + b"\0" * 7},
    )
    raw.resource_spans[0].scope_spans[0].spans[0].flags = 256
    for span in raw.resource_spans[0].scope_spans[0].spans:
        span.start_time_unix_nano = 0x1800000000000000
        span.end_time_unix_nano = 0x18D6000000000000

    assert not content.suspicious(raw.SerializeToString())


@pytest.mark.parametrize("place", [p for p in PLACES if p != "bytes"])
@pytest.mark.parametrize(
    "text",
    ["frame\0by\0frame", "\0", "a\0", "\0b", "ä\0😀"]
    + [("\0" + "x" * size)[:size] for size in (2, 6, 8, 9, 16, 18, 133)]
    + [("x" * size + "\0")[-size:] for size in (2, 6, 8, 9, 16, 18, 133)],
)
def test_nul_is_replaced_everywhere(place, text):
    request, wire = protected({"name": "clean"}, PLACES[place](text))

    assert len(text) == 1 or text.encode() not in wire
    assert text.replace("\0", "\ufffd").encode() in wire
    assert spans_of(request)[1].attributes[REPAIRED].int_value == 1
    assert REPAIRED not in spans_of(request)[0].attributes


def test_zero_bytes_of_a_binary_value_stay():
    data = b"\x89PNG\0\0\x1a" * 5

    request, _ = protected({"attributes": {"a": data, "b": "te\0xt"}})

    (span,) = spans_of(request)
    assert span.attributes["a"].bytes_value == data
    assert span.attributes["b"].string_value == "te\ufffdxt"
    assert span.attributes[REPAIRED].int_value == 1


@pytest.mark.parametrize("byte", [b"\x80", b"\xbf", b"\xff", b"\0"])
def test_a_huge_binary_value_is_cut_wherever_it_is(byte):
    request, _ = protected({"attributes": {"a": byte * 200_000}})

    (span,) = spans_of(request)
    assert span.attributes["a"].bytes_value.startswith(byte * 65_000)
    assert len(span.attributes["a"].bytes_value) <= MAX_VALUE_BYTES


@pytest.mark.parametrize("size", [MAX_VALUE_BYTES + 1, 200_000, 5_000_000])
@pytest.mark.parametrize("place", PLACES)
def test_a_huge_value_is_cut_and_says_by_how_much(place, size):
    text = "y" * size

    request, wire = protected({"name": "clean"}, PLACES[place](text))

    span = spans_of(request)[1]
    cut = span.attributes[TRUNCATED].int_value
    assert 0 < size - MAX_VALUE_BYTES <= cut < size
    assert f"y…[+{cut} bytes]".encode() in wire
    assert len(wire) < MAX_VALUE_BYTES + 500
    assert span.trace_id


def test_a_value_at_the_limit_stays_whole():
    text = "y" * MAX_VALUE_BYTES

    request, _ = protected({"attributes": {"a": text}})

    (span,) = spans_of(request)
    assert span.attributes["a"].string_value == text
    assert TRUNCATED not in span.attributes


@given(st.text(alphabet="aä😀", min_size=1, max_size=8))
def test_a_cut_never_splits_a_character(text):
    whole = (text * 100_000).encode()[: MAX_VALUE_BYTES * 2].decode("utf-8", "ignore")
    tally = Counter()
    if len(whole.encode()) <= MAX_VALUE_BYTES:
        return

    kept = content.clean(whole.encode(), tally).decode()

    head, _, suffix = kept.rpartition("…")
    assert whole.startswith(head)
    assert suffix == f"[+{tally[TRUNCATED]} bytes]"
    assert len(head.encode()) + tally[TRUNCATED] == len(whole.encode())
    assert len(kept.encode()) <= MAX_VALUE_BYTES


def test_a_secret_across_the_cut_is_masked_before_it_is_cut():
    secret = SECRETS["github"]
    text = "y" * (MAX_VALUE_BYTES - 30) + " " + secret + "z" * 100

    _, wire = protected({"attributes": {"a": text}})

    assert secret[:10].encode() not in wire


def test_a_masker_that_breaks_masks_the_value_and_nothing_else(monkeypatch, caplog):
    def broken(text):
        if b"poison" in text:
            message = "broken"
            raise RuntimeError(message)
        return text

    monkeypatch.setattr(masking, "mask", broken)
    spans = [{"attributes": {"a": f"poison {SECRETS['aws']}", "b": "kept"}}, {}]

    with caplog.at_level(logging.CRITICAL):
        request, wire = protected(*spans)

    guilty, _ = spans_of(request)
    assert guilty.attributes["a"].string_value == "[masked:error]"
    assert guilty.attributes["b"].string_value == "kept"
    assert b"poison" not in wire


def test_a_masker_that_cuts_a_character_masks_the_value(monkeypatch, caplog):
    monkeypatch.setattr(masking, "mask", lambda text: text[1:])

    with caplog.at_level(logging.CRITICAL):
        kept = content.clean("ä".encode(), Counter())

    assert kept == content.MASKED_ERROR


def test_a_search_that_breaks_lets_nothing_through(monkeypatch, caplog):
    class Broken:
        def search(self, data):
            message = "broken"
            raise RuntimeError(message)

    monkeypatch.setattr(content, "_suspicious", Broken())

    with caplog.at_level(logging.CRITICAL):
        _, wire = protected({"attributes": {"a": SECRETS["aws"]}})

    assert SECRETS["aws"].encode() not in wire


pieces = st.sampled_from(
    [*SECRETS.values(), "sk-", "Bearer ", "://", ":", "@", "-", "\\n", '"', " ", "\0"]
) | st.text(max_size=6)
texts = st.lists(pieces, max_size=6).map("".join)


@given(texts, st.sampled_from(sorted(PLACES)))
def test_what_would_be_changed_is_always_found_in_the_bytes(text, place):
    raw = export(PLACES[place](text)).SerializeToString()

    changed = masking.mask(text.encode()) != text.encode()

    if changed or ("\0" in text and place != "bytes"):
        assert content.suspicious(raw)


@given(st.lists(texts, max_size=4))
def test_protecting_twice_is_protecting_once(values):
    attributes = {f"k{n}": value for n, value in enumerate(values)}
    request, wire = protected({"attributes": attributes})

    again = ExportRequest.FromString(wire)
    protect(again)

    assert again == request
