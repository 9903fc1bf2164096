"""Reading and inflating within bounds, whatever the pieces and however hostile."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import Busy, RejectedExport
from ingest.otlp.limits import Body, Budget

STEP = 256 * 1024
BOMB = """
import gzip, resource, sys
from ingest.errors import RejectedExport
from ingest.otlp.limits import BUDGET_BYTES, Body, Budget

bomb = gzip.compress(b"\\0" * (64 * 1024 * 1024))
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

budget = Budget(BUDGET_BYTES)
body = Body("gzip", budget)
before = peak()
try:
    for at in range(0, len(bomb), 65_536):
        for _ in body.feed(bomb[at : at + 65_536]):
            pass
except RejectedExport as error:
    body.release()
    print(error.status, peak() - before, budget.held)
"""


def raw_deflate(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


COMPRESS = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


def received(encoding, chunks, budget=None):
    body = Body(encoding, budget or Budget(100 * 1024 * 1024))
    for chunk in chunks:
        for _ in body.feed(chunk):
            pass
    return body.close()


@given(st.binary(max_size=2_000), st.sampled_from(sorted(COMPRESS)), st.data())
def test_any_split_into_chunks_gives_the_same_body(data, encoding, draw):
    sent = COMPRESS[encoding](data)
    places = draw.draw(st.lists(st.integers(0, len(sent)), max_size=6).map(sorted))

    chunks = [
        sent[a:b] for a, b in zip([0, *places], [*places, len(sent)], strict=True)
    ]

    assert received(encoding, chunks) == data


@pytest.mark.parametrize("beyond", [-1, 0, 1, 2, 100, 257, 258, 259, 1_000])
@pytest.mark.parametrize(
    "compress",
    [gzip.compress, zlib.compress, raw_deflate],
    ids=["gzip", "zlib", "raw"],
)
def test_a_body_that_ends_near_the_bound_of_a_step_is_whole(compress, beyond):
    data = b"\0" * (STEP + beyond)
    encoding = "gzip" if compress is gzip.compress else "deflate"

    assert received(encoding, [compress(data)]) == data


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_inflate_or_are_rejected(data, encoding):
    try:
        received(encoding, [data])
    except RejectedExport as error:
        status = error.status
    else:
        status = 400

    assert status == 400


def test_what_was_taken_from_the_budget_is_given_back():
    budget = Budget(10_000)
    body = Body("gzip", budget)
    for _ in body.feed(gzip.compress(b"x" * 5_000)):
        pass

    held = budget.held
    body.release()
    body.release()

    assert (held, budget.held) == (5_000, 0)


def test_beyond_the_budget_is_busy():
    with pytest.raises(Busy):
        received("gzip", [gzip.compress(b"x" * 5_000)], Budget(4_999))


def test_a_bomb_costs_no_more_memory_than_the_limit():
    run = subprocess.run(
        [sys.executable, "-c", BOMB], capture_output=True, text=True, check=True
    )

    status, growth, held = map(int, run.stdout.split())
    assert (status, held) == (413, 0)
    assert growth < 25 * 1024 * 1024
