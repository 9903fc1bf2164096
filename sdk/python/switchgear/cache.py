"""Policy on disk: what runs now, and the last that ran long enough to be trusted.

``current.json`` is written when a policy was applied, ``last_good.json`` when it then
ran through its soak: never when something was merely received. Both hold the snapshot
as it came, whose digest tells a torn or altered file. Every file is replaced in one
step. Whatever is wrong with the disk, calls go on: ``OSError`` is the caller's to log.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

CURRENT, LAST_GOOD = "current.json", "last_good.json"
_FOLDER = "switchgear"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def default_folder(environ: Mapping[str, str]) -> Path | None:
    """Where caches belong on this machine; nowhere for a user without a home."""
    if said := environ.get("SWITCHGEAR_CACHE_DIR"):
        return Path(said)
    if cache := environ.get("XDG_CACHE_HOME"):
        return Path(cache) / _FOLDER
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(home) / ".cache" / _FOLDER if home else None


class Cache:
    """The two files of one service in one environment of one control plane."""

    def __init__(
        self, root: Path, *, endpoint: str, service: str, environment: str
    ) -> None:
        key = sha256(f"{endpoint}\0{service}\0{environment}".encode()).hexdigest()
        name = _UNSAFE.sub("_", f"{service}.{environment}")[:60]
        self.folder = root / f"{name}.{key[:12]}"

    def read(self, name: str) -> bytes | None:
        """The file's content, ``None`` when there is none yet."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, body: bytes) -> None:
        """Replace a file as a whole: readers see the old one or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.folder / name)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
