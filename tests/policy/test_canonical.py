"""JSON has one spelling, and what has none is refused with a pointer."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policy.documents import canonical
from switchgear.policy.errors import PolicyError

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("aé漢😀\ue000"), inner)
    ),
    max_leaves=15,
)

ECHO = """
const text = require("node:fs").readFileSync(0, "utf8");
process.stdout.write(JSON.stringify(JSON.parse(text)));
"""


def refused(body):
    with pytest.raises(PolicyError) as caught:
        canonical.loads(body)
    return caught.value


def shuffled(value, random):
    if isinstance(value, dict):
        items = [(key, shuffled(each, random)) for key, each in value.items()]
        random.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return [shuffled(each, random) for each in value]
    return value


@given(plain, st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_no_byte(value, random):
    assert canonical.dumps(shuffled(value, random)) == canonical.dumps(value)


@given(plain)
def test_what_was_written_reads_the_same_and_is_written_the_same(value):
    body = canonical.dumps(value)

    assert canonical.loads(body) == value
    assert canonical.dumps(canonical.loads(body)) == body


def test_keys_are_sorted_by_utf_16_code_units():
    # By code points the last two would stand the other way round.
    document = {"\ufb33": 1, "😀": 2, "é": 3, "1": 4, "\r": 5, "ö": 6}

    assert list(json.loads(canonical.dumps(document))) == [
        "\r",
        "1",
        "é",
        "ö",
        "😀",
        "\ufb33",
    ]


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("4340000000000001", None),  # beyond 2**53: refused, as another reader rounds
        ("3e60000000000000", "2.9802322387695312e-8"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
    ],
)
def test_numbers_are_written_as_the_standard_says(bits, text):
    (number,) = struct.unpack(">d", bytes.fromhex(bits))

    if text is None:
        with pytest.raises(PolicyError, match="must be a number between"):
            canonical.dumps(number)
    else:
        assert canonical.dumps(number).decode() == text


@pytest.mark.needs("node")
def test_javascript_spells_values_the_same():
    bits = random.Random(8785)
    drawn = (struct.unpack(">d", bits.randbytes(8))[0] for _ in range(8000))
    small = (bits.uniform(-1, 1) * 10.0 ** bits.randint(-9, 15) for _ in range(2000))
    numbers = [each for each in (*drawn, *small) if abs(each) < 2.0**53]
    values = [*numbers, '"\\\b\t\n\f\r\x01\x1f\x7fé漢😀\u2028/']

    out = subprocess.check_output(
        [shutil.which("node"), "-e", ECHO], input=json.dumps(values).encode()
    )

    assert len(numbers) > 5000
    assert canonical.dumps(values) == out


@pytest.mark.parametrize(
    ("body", "pointer", "message"),
    [
        (b'{"a": [1, NaN]}', "/a/1", "must be a number between"),
        (b'{"a": Infinity}', "/a", "must be a number between"),
        (b'{"a": -Infinity}', "/a", "must be a number between"),
        (b'{"a": 1e999}', "/a", "must be a number between"),
        (b'{"a": 9007199254740992}', "/a", "must be a number between"),
        (b'{"a": ' + b"9" * 100_000 + b"}", "/a", "must be a number between"),
        (b'{"a": "\\ud800"}', "/a", "half of a surrogate pair"),
        (b'{"a/b~": {"\\udfff": 1}}', "/a~1b~0", "half of a surrogate pair"),
        (b'{"a": "b\\u0000"}', "/a", "NUL"),
        (b'{"a": 1, "b": 2, "a": 3, "a": 4}', "/a", "is there twice"),
        (b"{", "", "is not JSON"),
        (b"", "", "is not JSON"),
        (b"\xff", "", "must be UTF-8"),
        (b"\xef\xbb\xbf{}", "", "is not JSON"),
        (b"[" * 17 + b"]" * 17, "/0" * 16, "deeper than 16"),
        (b"[" * 100_000, "", "nested deeper than 16"),
        (b'{"a":' * 100_000, "", "nested deeper than 16"),
    ],
    ids=lambda value: str(value)[:20] or "empty",
)
def test_what_has_no_spelling_is_refused_with_a_pointer(body, pointer, message):
    error = refused(body)

    assert error.pointer == pointer
    assert message in error.message


def test_numbers_and_texts_at_the_edge_are_taken():
    edge = {"a": [2**53 - 1, -(2**53) + 1, 1e-300, "\x01", "😀"]}

    assert canonical.loads(json.dumps(edge).encode()) == edge
    assert canonical.loads(b"[" * 16 + b"]" * 16) is not None


@pytest.mark.parametrize(
    ("value", "message"),
    [({1: 2}, "texts as keys"), ({"a": b""}, "not JSON: bytes"), ({"a": {1}}, "set")],
)
def test_python_values_that_are_no_json_are_refused(value, message):
    with pytest.raises(PolicyError, match=message):
        canonical.dumps(value)


@given(plain)
def test_the_short_way_of_spelling_is_the_long_way(value):
    assert canonical.dumps(value).decode() == canonical._spelt(value)


@given(
    st.floats(-(2.0**53) + 1, 2.0**53 - 1)
    | st.floats(-0.01, 0.01)
    | st.integers(-(2**53), 2**53).map(float)
)
def test_the_short_way_writes_numbers_as_the_long_way(number):
    try:
        short = canonical.dumps(number).decode()
    except PolicyError:
        assert abs(number) > canonical.MAX_INTEGER
    else:
        assert short == canonical._number(number)


def test_texts_of_other_types_and_rare_characters_go_the_long_way():
    class Word(str):
        __slots__ = ()

    document = {"\ue000": 1, "😀": 2, "a": Word("b"), "c": "\u2028\x7f", "d": ("é",)}

    assert canonical.dumps(document).decode() == (
        '{"a":"b","c":"\u2028\x7f","d":["é"],"😀":2,"\ue000":1}'
    )
