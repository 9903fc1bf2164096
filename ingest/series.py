"""Words become numbers once: which series a call is counted under, and its parents.

A series is the full set of words of a call. Its parents are the grouping sets that
keep some of them; ``KEPT`` is the only place that says which. Environment and kind
are kept by all, provider goes with target.

Every project may have so many words of a dimension; what comes later is counted under
``__other__`` and totals stay exact. An admitted word is a row and stays admitted, and
a full dimension stays full: a call is always taken away under the words it was
counted under, by whichever process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from itertools import chain

import msgspec

from ingest.rollup import SeriesKey
from ingest.stores.base import Transaction

OTHER = "__other__"
FULL = "full"
# Which dimensions a grouping set keeps beside environment and kind.
KEPT = {
    "project": frozenset[str](),
    "target": frozenset({"target", "provider"}),
    "tenant": frozenset({"tenant"}),
    "service": frozenset({"service"}),
    "agent": frozenset({"agent"}),
    "tenant_target": frozenset({"tenant", "target", "provider"}),
    FULL: frozenset({"target", "provider", "service", "tenant", "agent"}),
}
SETS = tuple(name for name in KEPT if name != FULL)
FIELDS = ("environment", "kind", "target", "provider", "service", "tenant", "agent")

# Words of one dimension and project; targets are counted per kind.
CAPS = {
    "environment": 50,
    "target": 500,
    "provider": 50,
    "service": 200,
    "tenant": 2_000,
    "agent": 200,
}
# After traces and response ids, which writers lock first.
WORD_LOCK = 3
REMEMBERED = 100_000
_COLUMNS = ("id", "project_id", "grouping", *FIELDS, "digest")
_ROWS_PER_INSERT = 50

_pack = msgspec.msgpack.Encoder().encode

Wanted = tuple[int, SeriesKey]  # project id, words
_Named = tuple[int, str, SeriesKey]  # project id, grouping, words


def digest_of(*words: int | str | None) -> bytes:
    return blake2b(_pack(words), digest_size=16).digest()


def parent_key(key: SeriesKey, grouping: str) -> SeriesKey:
    """The words a grouping set keeps of a series."""
    kept = KEPT[grouping]
    environment, kind, target, provider, service, tenant, agent = key
    return (
        environment,
        kind,
        target if "target" in kept else "",
        provider if "provider" in kept else "",
        service if "service" in kept else "",
        tenant if "tenant" in kept else "",
        agent if "agent" in kept else "",
    )


class SeriesBook:
    """Ids of series, cached and bounded; rows are made when first wanted."""

    def __init__(self, *, caps: dict[str, int] | None = None) -> None:
        self._caps = CAPS if caps is None else caps
        self._ids: dict[Wanted, int] = {}
        self._parents: dict[int, tuple[int, ...]] = {}
        self._words: dict[tuple[int, str], set[str]] = {}

    def forget(self) -> None:
        """What was made in a transaction that failed does not exist."""
        self._ids.clear()
        self._parents.clear()
        self._words.clear()

    def ids(self, tx: Transaction, wanted: Sequence[Wanted]) -> dict[Wanted, int]:
        """The series of each, as a live mapping that holds at least the wanted."""
        known = self._ids
        absent = list({one: None for one in wanted if one not in known})
        if not absent:
            return known
        if len(known) + len(absent) > REMEMBERED:
            known = self._ids = {}
            absent = list(dict.fromkeys(wanted))
        capped = self._capped(tx, absent)
        named = [(project, FULL, key) for project, key in capped]
        made = self._made(tx, named)
        for one, name in zip(absent, named, strict=True):
            known[one] = made[name]
        return known

    def parents(
        self, tx: Transaction, series: AbstractSet[int]
    ) -> dict[int, tuple[int, ...]]:
        """The series of every grouping set, in the order of ``SETS``."""
        known = self._parents
        absent = {one for one in series if one not in known}
        if len(known) + len(absent) > REMEMBERED:
            known = self._parents = {}
            absent = set(series)
        if not absent:
            return known
        rows = tx.lookup("ingest_series", _COLUMNS, key="id", values=sorted(absent))
        named = {
            row[0]: [(row[1], name, parent_key(row[3:10], name)) for name in SETS]
            for row in rows
        }
        made = self._made(tx, chain.from_iterable(named.values()))
        for one, names in named.items():
            known[one] = tuple(made[name] for name in names)
        return known

    def _made(self, tx: Transaction, named: Iterable[_Named]) -> dict[_Named, int]:
        """Ids of series rows, inserted where absent in the order of their digests."""
        digests = {
            digest_of(project, grouping, *key): (project, grouping, key)
            for project, grouping, key in named
        }
        found = dict(self._found(tx, digests))
        absent = sorted(digest for digest in digests if digest not in found)
        if absent:
            names = [digests[digest] for digest in absent]
            rows = [
                (row_id, project, grouping, *key, digest)
                for row_id, (project, grouping, key), digest in zip(
                    tx.ids("ingest_series", len(absent)), names, absent, strict=True
                )
            ]
            insert_once(tx, "ingest_series", _COLUMNS, rows)
            found |= self._found(tx, absent)
        return {name: found[digest] for digest, name in digests.items()}

    @staticmethod
    def _found(tx: Transaction, digests: Iterable[bytes]) -> dict[bytes, int]:
        rows = tx.lookup(
            "ingest_series", ("digest", "id"), key="digest", values=digests
        )
        return {bytes(digest): row_id for digest, row_id in rows}

    def _capped(self, tx: Transaction, wanted: Sequence[Wanted]) -> list[Wanted]:
        """The same words with those beyond a cap replaced."""
        asked: dict[tuple[int, str], set[str]] = {}
        for project, key in wanted:
            for field, word in zip(FIELDS, key, strict=True):
                if word and field in self._caps:
                    asked.setdefault((project, _dimension(field, key)), set()).add(word)
        self._admit(tx, asked)
        return [
            (
                project,
                tuple(  # type: ignore[misc]
                    OTHER
                    if word
                    and field in self._caps
                    and word not in self._words[project, _dimension(field, key)]
                    else word
                    for field, word in zip(FIELDS, key, strict=True)
                ),
            )
            for project, key in wanted
        ]

    def _admit(self, tx: Transaction, asked: dict[tuple[int, str], set[str]]) -> None:
        new = [
            (place, words)
            for place, words in asked.items()
            if not words <= self._words.get(place, set())
            and len(self._words.get(place, ())) < self._cap(place[1])
        ]
        if not new:
            return
        # Two processes must not both give away the last place.
        tx.lock(WORD_LOCK, {project for (project, _), _ in new})
        rows: list[tuple[int, str, str, bytes]] = []
        for (project, dimension), words in new:
            known = self._load(tx, project, dimension)
            room = self._cap(dimension) - len(known)
            admitted = sorted(words - known)[: max(room, 0)]
            known.update(admitted)
            rows += [
                (project, dimension, word, digest_of(project, dimension, word))
                for word in admitted
            ]
        ids = tx.ids("ingest_word", len(rows))
        tx.insert(
            "ingest_word",
            ("id", "project_id", "dimension", "word", "digest"),
            [(row_id, *row) for row_id, row in zip(ids, rows, strict=True)],
        )

    def _load(self, tx: Transaction, project: int, dimension: str) -> set[str]:
        rows = tx.select(
            "SELECT word FROM ingest_word WHERE project_id=%s AND dimension=%s",
            (project, dimension),
        )
        known = self._words[project, dimension] = {word for (word,) in rows}
        return known

    def _cap(self, dimension: str) -> int:
        return self._caps.get(dimension, self._caps.get("target", 0))


def _dimension(field: str, key: SeriesKey) -> str:
    return key[1] if field == "target" else field


def insert_once(
    tx: Transaction,
    table: str,
    columns: Sequence[str],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Insert rows whose digest nobody has yet; callers sort them by digest."""
    one = f"({','.join(['%s'] * len(columns))})"
    for start in range(0, len(rows), _ROWS_PER_INSERT):
        part = rows[start : start + _ROWS_PER_INSERT]
        tx.execute(
            f"INSERT INTO {table} ({','.join(columns)})"  # noqa: S608
            f" VALUES {','.join([one] * len(part))} ON CONFLICT (digest) DO NOTHING",
            tuple(chain.from_iterable(part)),
        )
