"""Real captures, read in memory: decode -> normalise -> derive -> response ids -> sums.

The checks are those a reader of the metrics query would make: the same names and the
same accepted values, per capture, as in ``corpus/<name>/expected.json``.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ingest.derive import derive
from ingest.derive.responses import decide
from ingest.dialects.source import Reading
from ingest.normalise import normalise
from ingest.otlp.decode import decode
from ingest.prices import price_book
from ingest.records import REASONS, Call, Span
from ingest.rollup import COUNTERS, Contribution, Sums, contribution

CORPUS = Path(__file__).parent / "corpus"
CAPTURES = sorted(folder.name for folder in CORPUS.iterdir() if folder.is_dir())
RECEIVED_NS = 1_795_300_000 * 10**9  # after every capture

_OUTCOMES = ("ok", "recovered", "fallbacks", "refused", "cancelled", "errors")


class Check(NamedTuple):
    name: str
    accepted: object
    found: object

    @property
    def holds(self) -> bool:
        if isinstance(self.accepted, list):
            return self.found in self.accepted
        return self.found == self.accepted


def expected(capture: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (CORPUS / capture / "expected.json").read_text()
    )
    return document


def spans_of(capture: str) -> list[Span]:
    """The normalised spans of all bodies, in the order they were sent."""
    spans: list[Span] = []
    for path in sorted((CORPUS / capture).glob("*.headers.json")):
        name = json.loads(path.read_text())["file"]
        body = (path.parent / name).read_bytes()
        if name.endswith(".gz"):
            body = gzip.decompress(body)
        kind = "application/json" if ".json" in name else "application/x-protobuf"
        decoded = decode(body, kind)
        found = normalise(decoded.request, reading(), received_ns=RECEIVED_NS)
        assert not found.rejected, found.rejected
        spans += found.spans
    return spans


def reading() -> Reading:
    return Reading(
        project_id=1,
        tenant=None,
        tenant_keys=(),
        fingerprint_key=bytes(32),
        price_book=price_book(()),
        oldest_ns=0,
    )


def calls_of(spans: Iterable[Span]) -> dict[bytes, list[Call]]:
    """The calls of every trace, whatever order the spans are in."""
    traces: dict[bytes, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    return {trace_id: derive(members) for trace_id, members in traces.items()}


def contributions(calls: Mapping[bytes, Sequence[Call]]) -> list[Contribution]:
    """What all calls add to the numbers; losers of a response id add nothing."""
    found = []
    groups: dict[bytes, list[tuple[bytes, Call]]] = {}
    for trace_id, members in calls.items():
        for call in members:
            if call.response_id:
                groups.setdefault(call.response_id, []).append((trace_id, call))
            else:
                found.append(contribution(call))
    for group in groups.values():
        winner, merged = decide(group)
        found.append(contribution(group[winner][1], merged))
    return [one for one in found if one is not None]


def totals(rows: Iterable[Contribution]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for row in rows:
        of_row = Sums.of_call(row, 1)
        for name, amount in zip(COUNTERS, of_row.counters, strict=True):
            sums[name.replace("tokens_", "tokens.")] += amount
    sums["succeeded"] = sums["ok"] + sums["recovered"]
    return sums


def checks(capture: str, rows: Sequence[Contribution]) -> list[Check]:
    wanted = expected(capture)
    made: list[Check] = []
    for kind in ("tool", "model"):
        if kind in wanted:
            of_kind = [row for row in rows if row.series[1] == kind]
            made += _checks_of_kind(kind, wanted[kind], of_kind)
    if "tenants" in wanted:
        shown = {row.series[5] for row in rows} & set(wanted["tenants"])
        made.append(Check("tenants", [wanted["tenants"]], sorted(map(str, shown))))
    return made


def _checks_of_kind(
    kind: str, wanted: Mapping[str, Any], rows: Sequence[Contribution]
) -> list[Check]:
    sums = totals(rows)
    found: dict[str, object] = {
        "attempts_by_tool": _attempts_by(2, rows),
        "attempts_by_tenant": _attempts_by(5, rows),
        "errors_by_class": _errors_by_class(rows),
    }
    parts = sum(sums[name] for name in _OUTCOMES)
    made = [Check(f"{kind} calls are the sum of their outcomes", parts, sums["calls"])]
    for name, accepted in wanted.items():
        if name == "any":
            shown = {key: sums[key] for key in accepted[0]}
            made.append(Check(f"{kind}, one of", accepted, shown))
        else:
            made.append(Check(f"{kind} {name}", accepted, found.get(name, sums[name])))
    return made


def _attempts_by(word: int, rows: Sequence[Contribution]) -> dict[object, int]:
    found: Counter[object] = Counter()
    for row in rows:
        found[row.series[word]] += totals([row])["attempts"]
    return dict(+found)


def _errors_by_class(rows: Sequence[Contribution]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for row in rows:
        for reason, _, errors, _, _ in row.reasons:
            found[REASONS[reason]] += errors
    return dict(+found)
