"""Fixtures of the service plane's tests."""

from __future__ import annotations

import pytest

from tests.controlplane.planes import Caller, policy_key
from tests.controlplane.serving import environment, start, stop


@pytest.fixture
def caller(project) -> Caller:
    return Caller(policy_key(project))


@pytest.fixture
def servers(tmp_path):
    """Start servers on the same rows; they end with the test, however it ends."""
    running = []

    def begin(**variables: str):
        running.append(start(environment(tmp_path / "data") | variables))
        return running[-1]

    yield begin
    for server in running:
        if server.process.poll() is None:
            stop(server)
