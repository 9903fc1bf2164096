"""For the tests of a service: rules that are fixed, no network and no waiting.

    def test_a_search_that_is_down_is_answered_from_the_cache(client):
        down = {"kind": "kill_switch", "selector": {"target": "search"}, ...}
        with fixed_policy(client, down) as seen:
            assert search("shoes") == "cached shoes"
        assert [call.outcome for call in seen.calls] == ["ok", "fallback"]

Inside the block time passes only by waiting, which takes none, and chance is always
one half: what happens once happens again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from switchgear.client import Client
from switchgear.clock import Clock
from switchgear.core import Ended
from switchgear.policy.documents.reading import read_rule
from switchgear.policy.documents.snapshot import seal

__all__ = ["Ended", "Seen", "fixed_policy"]


@dataclass(slots=True)
class Seen:
    """What happened inside the block: calls as they ended, and seconds waited."""

    calls: list[Ended] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


class _Patient(Clock):
    """Time that passes only while somebody waits."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self._since, self._seen = super().now(), seen

    def now(self) -> float:
        return self._since + sum(self._seen.waits)


@contextmanager
def fixed_policy(client: Client, *rules: Mapping[str, object]) -> Iterator[Seen]:
    """Run the code inside under these rules and no others.

    A rule is written as in a policy document; one without ``id`` is given one.
    """
    core, seen = client._core, Seen()  # noqa: SLF001  it is the client's own test kit
    clock = _Patient(seen)
    snapshot = seal(
        environment=core.environment,
        service=core.service,
        version=1,
        rules=[
            read_rule({"id": f"rule-{place}", **rule}, strict=True)
            for place, rule in enumerate(rules, start=1)
        ],
        issued_at=clock.now(),
    )
    governor = core.governor.twin(clock, chance=lambda: 0.5)
    governor.adopt(snapshot)

    async def wait(seconds: float) -> None:
        seen.waits.append(seconds)

    before = core.governor, core.clock, core.sleep, core.sleep_async
    core.governor, core.clock = governor, clock
    core.sleep, core.sleep_async = seen.waits.append, wait
    core.listeners.append(seen.calls.append)
    try:
        yield seen
    finally:
        core.governor, core.clock, core.sleep, core.sleep_async = before
        core.listeners.remove(seen.calls.append)
