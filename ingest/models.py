"""Telemetry tables. Only ``ingest`` touches them; others ask ``ingest.queries``.

These models own the schema. The writer fills the tables below the ORM, so every
column is written by name from ``ingest.stores``. Ids are handed out in order of
commit, which keeps every index but two append-only: traces and response ids are
looked up by what the sender chose.

``project_id`` is a number of the control database: there is no foreign key and no
transaction between the two.
"""

from __future__ import annotations

from django.db import models


class Writer(models.Model):
    """One process that writes telemetry; its id is never used again.

    ``in_sets`` and ``in_series`` are watermarks over ``Tick.id``: this writer's ticks
    up to there are contained in the grouping-set rows, and in the full-series rows,
    of ``Rollup``. A reader adds the ticks above the watermark.
    """

    id = models.BigAutoField(primary_key=True)
    started_at = models.BigIntegerField()  # ns
    seen_at = models.BigIntegerField()  # ns; when this is old, others fold for it
    in_sets = models.BigIntegerField(default=0)
    in_series = models.BigIntegerField(default=0)
    closed = models.BooleanField(default=False)  # dead and completely folded

    class Meta:
        db_table = "ingest_writer"


class Body(models.Model):
    """What was received, after masking: kept once, decoded again when someone looks.

    ``facts`` holds the packed normalised spans of this body in order.
    """

    id = models.BigAutoField(primary_key=True)
    project_id = models.BigIntegerField()
    received_at = models.BigIntegerField()  # ns
    wire = models.BinaryField()  # zstd of the masked protobuf request
    facts = models.BinaryField()  # zstd of records.pack_spans

    class Meta:
        db_table = "ingest_body"
        indexes = [
            # Retention walks the oldest bodies of a project.
            models.Index(fields=["project_id", "received_at"], name="body_by_age")
        ]


class Trace(models.Model):
    id = models.BigAutoField(primary_key=True)
    project_id = models.BigIntegerField()
    trace_id = models.BinaryField(max_length=16)
    version = models.BigIntegerField(default=1)  # grows with every change
    spans = models.IntegerField(default=0)
    touched_at = models.BigIntegerField()  # ns, last commit that changed it
    derive_after = models.BigIntegerField(null=True)  # ns; large traces wait, durably
    rooted = models.BooleanField(default=False)  # a span without a parent has come

    class Meta:
        db_table = "ingest_trace"
        constraints = [
            # The writer asks for the traces of a commit by this key.
            models.UniqueConstraint(
                fields=["project_id", "trace_id"], name="trace_once_per_project"
            )
        ]
        indexes = [
            # Retention walks the quietest traces of a project.
            models.Index(fields=["project_id", "touched_at"], name="trace_by_age"),
            # Only large traces that wait: the fold loop polls it.
            models.Index(
                fields=["derive_after"],
                name="trace_waits",
                condition=models.Q(derive_after__isnull=False),
            ),
            # Live boards show what arrives before its root.
            models.Index(
                fields=["project_id", "touched_at"],
                name="trace_arriving",
                condition=models.Q(rooted=False),
            ),
        ]


class Span(models.Model):
    """Where the greatest version of a span is: ``position`` in ``body``'s facts.

    There is a row for every span, so its key is its place: trace view, re-derivation
    and retention all ask by trace.
    """

    pk = models.CompositePrimaryKey("trace", "span_id")
    trace = models.ForeignKey(
        Trace, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    span_id = models.BinaryField(max_length=8)
    body = models.ForeignKey(
        Body, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    position = models.IntegerField()
    received_at = models.BigIntegerField(null=True)  # ns, of an earlier version if any

    class Meta:
        db_table = "ingest_span"


class Response(models.Model):
    """One provider response id of a project: the call that counts for it.

    Members are the calls that point here. ``winner`` is the call that counts, -1 when
    none has ended, null when retention took a member: what is counted then stays.
    """

    id = models.BigAutoField(primary_key=True)
    project_id = models.BigIntegerField()
    response_id = models.BinaryField(max_length=16)
    winner = models.BigIntegerField(null=True)

    class Meta:
        db_table = "ingest_response"
        constraints = [
            models.UniqueConstraint(
                fields=["project_id", "response_id"], name="response_once_per_project"
            )
        ]


class Series(models.Model):
    """The words a rollup row is about.

    ``grouping`` says which dimensions are kept: ``full``, or one of the grouping sets,
    whose other dimensions are "" here. A missing tenant or agent is null.
    """

    id = models.BigAutoField(primary_key=True)
    project_id = models.BigIntegerField()
    grouping = models.CharField(max_length=16)
    environment = models.TextField()
    kind = models.CharField(max_length=16)
    target = models.TextField(blank=True)
    provider = models.TextField(null=True)
    service = models.TextField(blank=True)
    tenant = models.TextField(null=True)
    agent = models.TextField(null=True)
    digest = models.BinaryField(max_length=16)  # of all the above

    class Meta:
        db_table = "ingest_series"
        constraints = [
            models.UniqueConstraint(fields=["digest"], name="series_once"),
        ]
        indexes = [
            # Queries resolve filters to series before they touch a rollup.
            models.Index(fields=["project_id", "grouping"], name="series_of_project")
        ]


class Word(models.Model):
    """A word that has series of its own; the rest of its dimension is ``__other__``.

    Never taken back: what a call was counted under stays the same for ever.
    """

    id = models.BigAutoField(primary_key=True)
    project_id = models.BigIntegerField()
    dimension = models.CharField(max_length=16)  # a kind for targets
    word = models.TextField()
    digest = models.BinaryField(max_length=16)  # of all the above

    class Meta:
        db_table = "ingest_word"
        constraints = [models.UniqueConstraint(fields=["digest"], name="word_once")]
        indexes = [
            # The writer loads the words of a dimension when it first sees it.
            models.Index(fields=["project_id", "dimension"], name="word_of_project")
        ]


class Call(models.Model):
    """One call as derived; the row holds all that its rollup contribution needs."""

    id = models.BigAutoField(primary_key=True)
    project_id = models.BigIntegerField()
    trace = models.ForeignKey(
        Trace, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    anchor = models.BinaryField(max_length=8)
    series = models.ForeignKey(
        Series, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    response = models.ForeignKey(
        Response,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    ended_ns = models.BigIntegerField()  # 0 while in flight
    outcome = models.SmallIntegerField()
    failure_class = models.SmallIntegerField(default=0)
    refusal_reason = models.SmallIntegerField(default=0)
    latency_us = models.BigIntegerField(null=True)
    session = models.TextField(null=True)
    # PostgreSQL reads a bare "user" as the name of the database role.
    user = models.TextField(null=True, db_column="end_user")
    message = models.TextField(null=True)  # what the failure says, bounded
    facts = models.BinaryField()  # packed records.Call

    class Meta:
        db_table = "ingest_call"
        indexes = [
            # Re-derivation replaces the calls of a trace.
            models.Index(fields=["trace"], name="call_of_trace"),
            # Call search walks a project backwards in time.
            models.Index(fields=["project_id", "ended_ns", "id"], name="call_by_end"),
            # Members of a response id.
            models.Index(
                fields=["response"],
                name="call_of_response",
                condition=models.Q(response__isnull=False),
            ),
        ]


class Measures(models.Model):
    """The additive integers of a rollup row; ``ingest.rollup`` says what each counts.

    Values are signed: a correction to what another writer counted is a negative
    amount in our own row. Histograms are packed by ``ingest.histogram``; null is empty.
    """

    calls = models.BigIntegerField(default=0)
    ok = models.BigIntegerField(default=0)
    recovered = models.BigIntegerField(default=0)
    fallbacks = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    cancelled = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    executed = models.BigIntegerField(default=0)
    retried = models.BigIntegerField(default=0)
    attempts = models.BigIntegerField(default=0)
    retries = models.BigIntegerField(default=0)
    attempt_errors = models.BigIntegerField(default=0)
    exhausted = models.BigIntegerField(default=0)
    refusals = models.BigIntegerField(default=0)
    cache_hits = models.BigIntegerField(default=0)
    unpriced_calls = models.BigIntegerField(default=0)
    tokens_input = models.BigIntegerField(default=0)
    tokens_output = models.BigIntegerField(default=0)
    tokens_cache_read = models.BigIntegerField(default=0)
    tokens_cache_write = models.BigIntegerField(default=0)
    tokens_reasoning = models.BigIntegerField(default=0)
    cost_nano = models.BigIntegerField(default=0)
    wasted_nano = models.BigIntegerField(default=0)
    latency_count = models.BigIntegerField(default=0)
    latency_sum = models.BigIntegerField(default=0)  # us, like the other sums
    work_count = models.BigIntegerField(default=0)
    work_sum = models.BigIntegerField(default=0)
    backoff_count = models.BigIntegerField(default=0)
    backoff_sum = models.BigIntegerField(default=0)
    ttft_count = models.BigIntegerField(default=0)
    ttft_sum = models.BigIntegerField(default=0)
    latency_cells = models.BinaryField(null=True)
    work_cells = models.BinaryField(null=True)
    backoff_cells = models.BinaryField(null=True)
    ttft_cells = models.BinaryField(null=True)

    class Meta:
        abstract = True


class ReasonMeasures(models.Model):
    """Calls and attempts per failure class or refusal reason."""

    reason = models.SmallIntegerField()  # code of a failure class or refusal reason
    calls = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    attempt_errors = models.BigIntegerField(default=0)
    refusals = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


class Bucket(models.Model):
    id = models.BigAutoField(primary_key=True)
    writer = models.ForeignKey(
        Writer, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    bucket = models.BigIntegerField()  # unix seconds of its start
    series = models.ForeignKey(
        Series, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )

    class Meta:
        abstract = True


class Tick(Bucket, Measures):
    """10 s rows, written by the commit that stored the spans."""

    class Meta:
        db_table = "ingest_tick"
        indexes = [
            # Charts of the last minutes.
            models.Index(fields=["bucket", "series"], name="tick_by_time"),
            # What a writer has not folded yet.
            models.Index(fields=["writer", "id"], name="tick_of_writer"),
        ]


class TickReason(Bucket, ReasonMeasures):
    """``tick`` is the id of the tick it belongs to: one watermark serves both."""

    tick = models.BigIntegerField()

    class Meta:
        db_table = "ingest_tick_reason"
        indexes = [
            models.Index(fields=["bucket", "series"], name="tick_reason_by_time"),
            models.Index(fields=["writer", "tick"], name="tick_reason_of_writer"),
        ]


class Rollup(Bucket, Measures):
    """1 min, 10 min, 1 h and 1 d rows; of small grouping sets 10 s rows as well."""

    resolution = models.IntegerField()  # seconds

    class Meta:
        db_table = "ingest_rollup"
        constraints = [
            # Queries read one series over time; the writer finds its own row.
            models.UniqueConstraint(
                fields=["series", "resolution", "bucket", "writer"], name="rollup_once"
            )
        ]
        indexes = [
            # Retention deletes the oldest of a resolution.
            models.Index(fields=["resolution", "bucket"], name="rollup_by_age")
        ]


class RollupReason(Bucket, ReasonMeasures):
    resolution = models.IntegerField()

    class Meta:
        db_table = "ingest_rollup_reason"
        constraints = [
            models.UniqueConstraint(
                fields=["series", "resolution", "bucket", "writer", "reason"],
                name="rollup_reason_once",
            )
        ]
        indexes = [
            models.Index(fields=["resolution", "bucket"], name="rollup_reason_by_age")
        ]
