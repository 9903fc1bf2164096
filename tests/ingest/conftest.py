"""Fixtures of tests that store spans.

They commit for real, on connections of their own, so such tests are marked with
``django_db(transaction=True)``, and every one has projects of its own.
"""

from __future__ import annotations

import pytest

from ingest.stores import open_store
from ingest.writer import Desk


def announce_nothing(_projects):
    """For tests that look into the database and not at a board."""


@pytest.fixture
def store():
    opened = open_store()
    yield opened
    opened.close()


@pytest.fixture
def new_desk(store):
    return lambda: Desk(store, announce_nothing)


@pytest.fixture
def desk(new_desk):
    return new_desk()
