"""System checks: refuse to start on settings that would lose data quietly."""

from __future__ import annotations
