"""A control plane, clocks that are set by hand, and holders of policy."""

from __future__ import annotations

import pytest

from switchgear import Client
from switchgear.trouble import Trouble
from tests.sdk.plane import serving


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """No test writes where the services of this machine keep their policies."""
    monkeypatch.setenv("SWITCHGEAR_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def plane():
    with serving() as plane:
        yield plane


@pytest.fixture
def trouble():
    return Trouble()


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands():
    return Hands()


class Holder:
    """Holds policies and remembers which; breaks when told to."""

    def __init__(self) -> None:
        self.adopted = []
        self.trusted = None
        self.refuses = None
        self.error = None

    def adopt(self, snapshot) -> None:
        if self.refuses:
            raise self.refuses
        self.adopted.append(snapshot)

    def trust(self) -> None:
        self.trusted = self.adopted[-1]

    def broken(self):
        return self.error

    def fall_back(self):
        self.error = None
        return self.trusted


@pytest.fixture
def holder():
    return Holder()


@pytest.fixture
def client():
    """A client that asks nobody."""
    with Client(endpoint="", service="shop") as client:
        yield client
