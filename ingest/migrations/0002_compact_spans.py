"""On SQLite the rows of spans live in their key: half the disk of a table beside it."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def compact(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "sqlite":
        return
    schema_editor.execute(
        "CREATE TABLE ingest_span_compact (trace_id bigint NOT NULL, "
        "span_id BLOB NOT NULL, body_id bigint NOT NULL, position integer NOT NULL, "
        "received_at bigint NULL, PRIMARY KEY (trace_id, span_id)) WITHOUT ROWID"
    )
    schema_editor.execute(
        "INSERT INTO ingest_span_compact SELECT trace_id, span_id, body_id, position, "
        "received_at FROM ingest_span"
    )
    schema_editor.execute("DROP TABLE ingest_span")
    schema_editor.execute("ALTER TABLE ingest_span_compact RENAME TO ingest_span")


class Migration(migrations.Migration):
    dependencies = [("ingest", "0001_initial")]
    operations = [migrations.RunPython(compact, migrations.RunPython.noop)]
