"""The processes of the fleet: started when the server answers, gone when it goes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from dashboards.demo.services import FLEET

LOOK_EVERY_S = 0.1
STOP_S = 3.0


class Fleet:
    """``begin`` returns at once; the services start as soon as the server is ready."""

    def __init__(self, base: str, *, errand: Callable[[], tuple[str, float]]) -> None:
        """``errand`` gives a key and the seconds of the past to fill."""
        self._base = base
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
        for name in FLEET:
            if not self._stop.is_set():
                self._processes.append(start(name, self._base, key, history_s))


def ready(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/readyz", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False


def start(name: str, base: str, key: str, history_s: float) -> subprocess.Popen[str]:
    """The key goes in on standard input: arguments can be read by anybody."""
    process = subprocess.Popen(  # noqa: S603  our own module
        [
            sys.executable,
            "-m",
            "dashboards.demo.process",
            name,
            f"--endpoint={base}/v1/traces",
            f"--history={history_s:.0f}",
        ],
        stdin=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None  # noqa: S101  it was asked for
    process.stdin.write(key + "\n")
    process.stdin.flush()
    return process
