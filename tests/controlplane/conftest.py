"""Fixtures of the service plane's tests."""

from __future__ import annotations

import pytest

from tests.controlplane.planes import Caller, policy_key


@pytest.fixture
def caller(project) -> Caller:
    return Caller(policy_key(project))
