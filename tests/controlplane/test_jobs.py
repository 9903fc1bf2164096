from __future__ import annotations

import threading
import time

import pytest

from controlplane import jobs


@pytest.fixture
def registry(monkeypatch) -> dict:
    registry = {}
    monkeypatch.setattr(jobs, "registry", registry)
    return registry


def test_a_job_is_declared_where_it_is_written(registry):
    @jobs.periodic(every=5)
    def prune() -> None: ...

    ((name, declared),) = registry.items()
    assert name.endswith("prune")
    assert (declared.every, declared.run) == (5, prune)


def test_every_declared_job_is_scheduled_and_known_to_workers():
    from controlplane.celery import app

    for name, job in jobs.registry.items():
        entry = app.conf.beat_schedule[name]
        assert entry["schedule"] == job.every
        # What could not start in time is not made up for.
        assert entry["options"]["expires"] == job.every
        assert name in app.tasks


def test_jobs_run_in_threads_of_one_process_and_stop():
    from controlplane.celery import app
    from controlplane.embedded import EmbeddedJobs

    ran = threading.Event()

    @app.task(name="tests.ring")
    def ring() -> None:
        ran.set()

    embedded = EmbeddedJobs()

    embedded.start()
    ring.delay()
    rang = ran.wait(10)
    embedded.stop()
    embedded._thread.join(10)

    assert rang
    assert not embedded._thread.is_alive()


def test_stopping_waits_for_a_job_that_runs():
    from controlplane.celery import app
    from controlplane.embedded import EmbeddedJobs

    began, ended = threading.Event(), threading.Event()

    @app.task(name="tests.slow")
    def slow() -> None:
        began.set()
        time.sleep(0.5)
        ended.set()

    embedded = EmbeddedJobs()
    embedded.start()
    slow.delay()
    began.wait(10)
    embedded.stop()

    assert ended.is_set()
