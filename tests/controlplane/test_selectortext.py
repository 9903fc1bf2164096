from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.selectortext import Unreadable, read, written
from switchgear.policy.documents.reading import read_selector
from switchgear.policy.rules.selectors import FACTS


@pytest.mark.parametrize(
    ("line", "document"),
    [
        ("", {}),
        ("  ", {}),
        ("tenant=acme", {"tenant": "acme"}),
        (
            "tenant = acme , target = search*",
            {"tenant": "acme", "target": {"glob": "search*"}},
        ),
        ("tenant=acme|globex", {"tenant": ["acme", "globex"]}),
        ("tenant!=acme|globex", {"tenant": {"not": ["acme", "globex"]}}),
        ('target="search*"', {"target": "search*"}),
        ('target~"a,b*"', {"target": {"glob": "a,b*"}}),
        ("target~search", {"target": {"glob": "search"}}),
        ('agent="Bot, the \\"first\\""', {"agent": 'Bot, the "first"'}),
        ("agent=the first bot", {"agent": "the first bot"}),
        ("target=tool:search", {"target": "tool:search"}),
    ],
)
def test_a_line_is_read_as_people_mean_it(line, document):
    assert read(line) == document


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tenant", "After tenant"),
        ("tenant acme", "After tenant acme"),
        ("tenant=", "a value for tenant"),
        ("tenant=a|", "another value for tenant"),
        ("=acme", "a fact"),
        ("tenant=a,", "a fact"),
        (",", "a fact"),
        ("tenant=a tenant=b", "comma after tenant"),
        ("tenant=a, tenant=b", "there twice"),
        ("target=a*|b", "one pattern"),
        ("target!=a*", "unlike a pattern"),
        ('tenant="a', "Cannot read on"),
        ('tenant="\\x"', "quoted as JSON"),
        ('tenant="a" "b"', "comma after tenant"),
    ],
)
def test_a_line_that_is_no_selector_says_where_it_stops_being_one(line, said):
    with pytest.raises(Unreadable, match=said):
        read(line)


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]),
    min_size=1,
    max_size=12,
).filter(lambda text: text == text.strip() and text.isprintable())
conditions = st.one_of(
    texts,
    st.lists(texts, min_size=1, max_size=3, unique=True),
    st.builds(lambda text: {"glob": text}, texts),
    st.builds(lambda text: {"glob": f"{text}*"}, texts),
    st.builds(lambda texts: {"not": texts}, st.lists(texts, min_size=1, unique=True)),
)


@given(
    st.dictionaries(
        st.sampled_from([fact for fact in FACTS if fact not in {"kind", "target"}]),
        conditions,
    )
)
def test_whatever_the_kernel_knows_is_written_and_read_as_the_same(document):
    selector = read_selector(document)

    assert read_selector(read(written(selector))) == selector


@given(st.text(max_size=40))
def test_no_line_is_more_than_unreadable(line):
    with suppress(Unreadable):
        assert isinstance(read(line), dict)
