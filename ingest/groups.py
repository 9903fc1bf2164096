"""Response ids: of several calls that are one provider answer, one counts.

Two instrumentations of one model call make two calls, often in two traces. The group
is decided anew whenever a member comes, changes or goes, and what it adds to the
numbers is staged as the difference. The row of a response id is claimed before its
members are read (traces first, then response ids, both in sorted order), so no writer
sees half a group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ingest import callrows
from ingest.callrows import StoredCall
from ingest.derive.responses import decide
from ingest.records import Call
from ingest.rollup import Contribution, contribution
from ingest.stores.base import Transaction
from ingest.traces import TraceState

Staged = tuple[int, int, Contribution]  # sign, project, what it adds
# ``Response.winner`` of a row this transaction made, and where none has ended.
NEW, NOBODY = 0, -1


# A call before and after a commit, None on the side where it is not:
# project, trace id, state of the trace, before, after.
Change = tuple[int, bytes, TraceState, StoredCall | None, Call | None]
Member = tuple[bytes, Call]  # trace id, call


@dataclass(slots=True)
class Group:
    row: int = 0
    winner: int | None = NEW
    old: dict[int, Member] = field(default_factory=dict)  # stored, by call row
    leaving: set[int] = field(default_factory=set)
    joining: dict[int, Member] = field(default_factory=dict)


Groups = dict[tuple[int, bytes], Group]


def regroup(
    tx: Transaction, changes: Sequence[Change], rows: Sequence[int]
) -> tuple[Groups, list[Staged]]:
    """Decide every response id the changes touch; what that adds and takes away.

    ``rows`` are the rows of the changed calls.
    """
    groups = touched(changes, rows)
    if not groups:
        return groups, []
    claim(tx, groups)
    read_members(tx, groups.values())
    staged: list[Staged] = []
    winners: list[tuple[object, ...]] = []
    for (project, response), group in sorted(groups.items()):
        if group.winner is None:
            continue
        after = {
            row: member for row, member in group.old.items() if row not in group.leaving
        }
        after.update(group.joining)
        was = outcome(group.old)[1]
        winner, now = outcome(after)
        staged += difference(project, was, now)
        if winner != group.winner:
            winners.append((group.row, project, response, winner))
    tx.replace(
        "ingest_response", ("id", "project_id", "response_id", "winner"), winners
    )
    return groups, staged


def touched(changes: Iterable[Change], rows: Iterable[int]) -> Groups:
    groups: Groups = defaultdict(Group)
    for row, (project, trace_id, _, old, new) in zip(rows, changes, strict=True):
        if old is not None and old.call.response_id:
            groups[project, old.call.response_id].leaving.add(row)
        if new is not None and new.response_id:
            groups[project, new.response_id].joining[row] = trace_id, new
    return groups


def claim(tx: Transaction, groups: Groups) -> None:
    by_project = defaultdict(list)
    for project, response in groups:
        by_project[project].append(response)
    for project, responses in sorted(by_project.items()):
        for row, response, winner in tx.claim(
            "ingest_response",
            ("id", "response_id", "winner"),
            key="response_id",
            values=responses,
            fixed={"project_id": project},
            fresh={"winner": NEW},
        ):
            group = groups[project, response]
            group.row, group.winner = row, winner


def read_members(tx: Transaction, groups: Iterable[Group]) -> None:
    by_row = {group.row: group for group in groups if group.winner not in (None, NEW)}
    if not by_row:
        return
    members = callrows.stored_calls(tx, key="c.response_id", values=by_row)
    traces: dict[int, bytes] = dict(
        tx.lookup(
            "ingest_trace",
            ("id", "trace_id"),
            key="id",
            values={member.trace for member in members},
        )
    )
    for member in members:
        assert member.response is not None  # noqa: S101
        by_row[member.response].old[member.id] = traces[member.trace], member.call


def outcome(members: dict[int, Member]) -> tuple[int, Contribution | None]:
    """The call row that counts, and what it adds; calls in flight have no say."""
    ended = [(row, member) for row, member in members.items() if member[1].ended_ns]
    if not ended:
        return NOBODY, None
    if len(ended) == 1:
        # Nearly every answer was seen once, and then its call speaks for itself.
        row, (_, call) = ended[0]
        return row, contribution(call)
    place, merged = decide([member for _, member in ended])
    row, (_, call) = ended[place]
    return row, contribution(call, merged)


def difference(
    project: int, old: Contribution | None, new: Contribution | None
) -> list[Staged]:
    if old == new:
        return []
    staged = []
    if old is not None:
        staged.append((-1, project, old))
    if new is not None:
        staged.append((1, project, new))
    return staged
