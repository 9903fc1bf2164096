"""How policy gets here: one daemon thread, which calls never wait for.

    report, subscribe, fetch; then for every hint: fetch, apply, report

A hint is a reason to look, never a policy. Between hints the thread looks every minute
all the same. When the control plane is away, garbled or unwilling, what runs goes on
running; the thread comes back after waits that spread a fleet out.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from random import random
from time import monotonic

from switchgear import jitter
from switchgear.clock import Clock
from switchgear.keeper import Keeper
from switchgear.transport import Hint, Plane, Unwilling
from switchgear.trouble import Trouble

_BEAT_S = 30.0
_BEATS_S = 5.0, 300.0  # what a server may ask for
_GOODBYE_S = 1.0


class Drained(Exception):
    """The server is about to stop, and says when to come back."""

    def __init__(self, hint: Hint) -> None:
        super().__init__("the server is being restarted")
        span = hint.data.get("reconnect_after_ms")
        self.span = span if isinstance(span, list) else []


class Delivery:
    """Keeps the policy up to date, and the control plane informed."""

    def __init__(
        self,
        keeper: Keeper,
        plane: Plane,
        *,
        instance: Mapping[str, str],
        clock: Clock,
        trouble: Trouble,
        chores: Callable[[], object] = int,
        chance: Callable[[], float] = random,
        timing: Callable[[], float] = monotonic,
    ) -> None:
        self._keeper, self._plane, self._instance = keeper, plane, instance
        self._clock, self._trouble = clock, trouble
        self._chores, self._chance, self._timing = chores, chance, timing
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._beat_s = _BEAT_S
        self._next_beat = self._next_look = -math.inf
        self.heard = threading.Event()  # the control plane said what to run

    def start(self) -> None:
        thread = threading.Thread(
            target=self._run, name="switchgear-delivery", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # the machine or the interpreter has no more
            self._trouble.say("thread", self._without(error))
        else:
            self._thread = thread

    def close(self) -> None:
        """Stop, without waiting for anybody else."""
        self._stop.set()
        self._plane.interrupt()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_GOODBYE_S)

    def _run(self) -> None:
        self._stop.wait(jitter.first_wait(self._chance()))
        last_s = 0.0
        while not self._stop.is_set():
            began = self._timing()
            stay_away_s = self._visit()
            if self._timing() - began >= jitter.HEALTHY_S:
                last_s = 0.0
            last_s = jitter.next_wait(last_s, self._chance())
            self._stop.wait(stay_away_s or last_s)

    def _visit(self) -> float:
        """Stay connected as long as it goes; the seconds a server asks to stay away."""
        try:
            self._stay_connected()
        except Drained as drained:
            return jitter.drain_wait(drained.span, self._chance())
        except Exception as error:  # noqa: BLE001  whatever it is, we come back
            if not self._stop.is_set():
                self._trouble.say("unreachable", self._without(error))
            if isinstance(error, Unwilling) and error.retry_after_s:
                return jitter.spread(error.retry_after_s, self._chance())
        return 0.0

    def _without(self, error: Exception) -> str:
        running = self._keeper.standing.running_version
        under = "no policy" if running is None else f"policy version {running}"
        return f"{error!r}; calls go on under {under}"

    def _stay_connected(self) -> None:
        self._tick()
        # Subscribe before looking: what is published in between is heard, not missed.
        stream = self._plane.stream()
        try:
            self._look()
            self._trouble.over("unreachable")
            for hint in stream.hints():
                if self._stop.is_set():
                    return
                self._heed(hint)
                self._tick()
        finally:
            stream.close()
            self._next_beat = -math.inf  # whoever is there next has not heard of us

    def _heed(self, hint: Hint) -> None:
        if hint.name == "drain":
            raise Drained(hint)
        if hint.name == "policy" and self._keeper.is_news(hint.data.get("digest")):
            self._look()

    def _tick(self) -> None:
        """What is due by the clock, whether or not there is a stream to wait for."""
        self._chores()
        if self._keeper.look_back() or self._timing() >= self._next_beat:
            self._report()
        if self._timing() >= self._next_look:
            self._look()

    def _look(self) -> None:
        """Fetch what there is to run, and run it."""
        fetched = self._plane.fetch(self._keeper.known())
        self._next_look = self._timing() + jitter.poll_wait(self._chance())
        changed = fetched is not None and self._keeper.take(
            fetched.body, fetched.digest
        )
        self.heard.set()
        if changed:
            self._report()

    def _report(self) -> None:
        """Say where we stand; a server that does not care is no reason to stop."""
        # First: whatever becomes of it, it must not keep policies from being fetched.
        self._next_beat = self._timing() + self._beat_s
        standing = {**self._instance, **self._keeper.standing.report()}
        try:
            answer = self._plane.report(standing)
        except (Unwilling, ValueError) as error:
            self._trouble.say("report", f"cannot report what runs here: {error}")
            return
        self._trouble.over("report")
        self._clock.agree(answer.get("server_time"))
        beat_s = answer.get("heartbeat_s")
        if isinstance(beat_s, int | float) and beat_s > 0:
            self._beat_s = min(max(float(beat_s), _BEATS_S[0]), _BEATS_S[1])
        self._next_beat = self._timing() + self._beat_s
