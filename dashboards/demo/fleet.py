"""The processes of the fleet: started when the server answers, gone when it goes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from dashboards.demo.services import FLEET

LOOK_EVERY_S = 0.1
STOP_S = 3.0


class Fleet:
    """``begin`` returns at once; the services start as soon as the server is ready."""

    def __init__(
        self, base: str, folder: Path, *, errand: Callable[[], tuple[str, float]]
    ) -> None:
        """``errand`` gives a key and the seconds of the past to fill.

        In ``folder`` the services keep what they know of the policy.
        """
        self._base = base
        self._folder = folder
        self._errand = errand
        self._stop = threading.Event()
        self._processes: list[subprocess.Popen[str]] = []
        self._starting = threading.Thread(target=self._start, daemon=True)

    def begin(self) -> None:
        self._starting.start()

    def end(self) -> None:
        """Ask all to stop, then wait; who does not listen is killed."""
        self._stop.set()
        self._starting.join()
        for process in self._processes:
            process.terminate()
        until = time.monotonic() + STOP_S
        for process in self._processes:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()

    def _start(self) -> None:
        while not ready(self._base):
            if self._stop.wait(LOOK_EVERY_S):
                return
        key, history_s = self._errand()
        since = time.time()  # noqa: TID251  the edge: all of them count from it
        said = (
            f"--base={self._base}",
            f"--cache={self._folder}",
            f"--history={history_s:.0f}",
            f"--since={since}",
        )
        for service in FLEET.values():
            for number in range(1, service.instances + 1):
                if not self._stop.is_set():
                    instance = service.name, f"--number={number}"
                    self._processes.append(self._one(key, *instance, *said))

    def _one(self, key: str, *arguments: str) -> subprocess.Popen[str]:
        """The key goes in on standard input: arguments can be read by anybody."""
        process = subprocess.Popen(  # noqa: S603  our own module
            [sys.executable, "-m", "dashboards.demo.process", *arguments],
            stdin=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None  # noqa: S101  it was asked for
        process.stdin.write(key + "\n")
        process.stdin.flush()
        return process


def ready(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/readyz", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False
