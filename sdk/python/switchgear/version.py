"""The version of this distribution, for spans and reports."""

from __future__ import annotations

__version__ = "0.1.0"
