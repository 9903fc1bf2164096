"""One contract for every store; SQLite by default, PostgreSQL by the settings."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from itertools import count

import psycopg
import pytest

from ingest.errors import Busy
from ingest.stores import open_store
from ingest.stores.sqlite import SqliteStore

pytestmark = pytest.mark.django_db(transaction=True)

RESPONSE = ("id", "project_id", "response_id", "winner")
projects = count(50_000)


@pytest.fixture
def project():
    return next(projects)


def put(store, project, *keys, winner=0):
    with store.begin() as tx:
        ids = tx.ids("ingest_response", len(keys))
        rows = [(row, project, key, winner) for row, key in zip(ids, keys, strict=True)]
        tx.insert("ingest_response", RESPONSE, rows)
    return list(ids)


def winners(store, project):
    with store.read() as tx:
        return tx.select(
            "SELECT response_id, winner FROM ingest_response "
            "WHERE project_id=%s ORDER BY response_id",
            (project,),
        )


def claim(tx, project, *keys):
    return sorted(
        tx.claim(
            "ingest_response",
            ("response_id", "id", "winner"),
            key="response_id",
            values=keys,
            fixed={"project_id": project},
            fresh={"winner": 0},
        )
    )


def test_what_a_transaction_wrote_is_read_back(store, project):
    put(store, project, b"a", b"b", winner=3)

    assert winners(store, project) == [(b"a", 3), (b"b", 3)]


def test_an_error_inside_a_transaction_undoes_all_of_it(store, project):
    with contextlib.suppress(ZeroDivisionError), store.begin() as tx:
        claim(tx, project, b"a")
        _ = 1 // 0

    assert winners(store, project) == []


def test_ids_are_fresh_and_ascending(store, project):
    first = put(store, project, b"a", b"b")
    second = put(store, project, b"c")

    assert first == sorted(first)
    assert second[0] > first[-1]


def test_ids_of_deleted_rows_are_not_handed_out_again(store, project):
    (used,) = put(store, project, b"a")
    with store.begin() as tx:
        tx.delete("ingest_response", [used])

    assert put(store, project, b"b")[0] > used


def test_ids_of_no_rows_are_none(store):
    with store.begin() as tx:
        assert list(tx.ids("ingest_response", 0)) == []


@pytest.mark.parametrize("length", [0, 1, 7, 9, 600])
def test_lookup_finds_the_rows_of_any_number_of_keys(store, project, length):
    keys = [number.to_bytes(2, "big") for number in range(length)]
    put(store, project, *keys, b"not asked for")

    with store.read() as tx:
        found = tx.lookup(
            "ingest_response",
            ("response_id",),
            key="response_id",
            values=keys,
            where="project_id=%s",
            parameters=(project,),
        )

    assert sorted(found) == [(key,) for key in keys]


def test_replace_inserts_and_overwrites_by_id(store, project):
    (row,) = put(store, project, b"a")
    with store.begin() as tx:
        (other,) = tx.ids("ingest_response", 1)
        rows = [(row, project, b"a", 5), (other, project, b"b", None)]
        tx.replace("ingest_response", RESPONSE, rows)
        tx.replace("ingest_response", RESPONSE, [])

    assert winners(store, project) == [(b"a", 5), (b"b", None)]


def test_delete_takes_rows_by_any_key(store, project):
    put(store, project, b"a", b"b")

    with store.begin() as tx:
        tx.delete("ingest_response", [b"a"], key="response_id")
        tx.delete("ingest_response", [])

    assert winners(store, project) == [(b"b", 0)]


def test_execute_tells_how_many_rows_it_changed(store, project):
    put(store, project, b"a", b"b")

    with store.begin() as tx:
        changed = tx.execute(
            "UPDATE ingest_response SET winner=%s WHERE project_id=%s", (9, project)
        )

    assert changed == 2


def test_claim_makes_what_is_absent_and_finds_the_rest(store, project):
    (row,) = put(store, project, b"b", winner=4)

    with store.begin() as tx:
        made, there = claim(tx, project, b"b", b"a", b"a")
        again = claim(tx, project, b"a", b"b")

    assert (made[0], made[2]) == (b"a", 0)
    assert there == (b"b", row, 4)
    assert again == [made, there]


def test_claim_of_nothing_is_nothing(store, project):
    with store.begin() as tx:
        assert claim(tx, project) == []


def test_projects_do_not_share_claims(store, project):
    put(store, next(projects), b"a", winner=4)

    with store.begin() as tx:
        assert claim(tx, project, b"a")[0][2] == 0


def test_claims_of_two_writers_count_one_after_the_other(store, project):
    def add_one():
        own = open_store()
        for _ in range(20):
            with own.begin() as tx:
                ((key, row, winner),) = claim(tx, project, b"a")
                tx.lock(4, [7, 3])
                rows = [(row, project, key, winner + 1)]
                tx.replace("ingest_response", RESPONSE, rows)
        own.close()

    threads = [threading.Thread(target=add_one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert winners(store, project) == [(b"a", 60)]


def test_a_reader_sees_one_state_while_others_write(store, project):
    put(store, project, b"a")
    other = open_store()

    with other.read() as tx:
        tx.select("SELECT count(*) FROM ingest_response")
        put(store, project, b"b")
        seen = tx.select(
            "SELECT count(*) FROM ingest_response WHERE project_id=%s", (project,)
        )
    other.close()

    assert seen == [(1,)]


def test_a_mistake_in_a_value_is_not_busy(store, project):
    with pytest.raises((sqlite3.Error, psycopg.Error, TypeError)), store.begin() as tx:
        tx.insert("ingest_response", RESPONSE, [(1, project, object(), 0)])

    assert put(store, project, b"a")


def test_a_store_works_again_after_it_was_closed(store, project):
    store.close()

    assert put(store, project, b"a")


@pytest.fixture
def file(tmp_path):
    path = str(tmp_path / "t.sqlite3")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x)")
    return path


def test_a_locked_sqlite_file_is_busy(file, monkeypatch):
    monkeypatch.setattr("ingest.stores.sqlite.WAIT_S", 0)
    first, second = SqliteStore(file), SqliteStore(file)

    with first.begin(), pytest.raises(Busy), second.begin():
        pass

    with second.begin() as tx:
        tx.insert("t", ("id", "x"), [(1, 1)])


def test_a_full_disk_is_busy_and_passes(file):
    store = SqliteStore(file)
    with store.begin() as tx:
        tx.execute("PRAGMA max_page_count=10")
    with pytest.raises(Busy), store.begin() as tx:
        tx.insert("t", ("x",), [(bytes(100_000),)])

    with store.begin() as tx:
        tx.insert("t", ("x",), [(1,)])
        assert tx.select("SELECT x FROM t") == [(1,)]


def test_commits_reach_the_disk_before_they_are_answered(file):
    store = SqliteStore(file)

    with store.begin() as tx:
        assert tx.select("PRAGMA synchronous") == [(2,)]
        assert tx.select("PRAGMA journal_mode") == [("wal",)]
