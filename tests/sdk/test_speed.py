"""What guarding a call costs, at most."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "sdk/python/bench/guarded_call.py"


@pytest.mark.soak
def test_a_guarded_call_costs_next_to_nothing():
    said = subprocess.check_output([sys.executable, BENCH, "--json"], timeout=300)

    cost = json.loads(said)
    by_hand = cost["two spans by hand"]
    assert cost["no rules"] < 20
    assert cost["five rules"] < 45
    assert cost["no rules, recorded"] - by_hand < 35
    assert cost["five rules, recorded"] - by_hand < 58
