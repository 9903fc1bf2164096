"""The Celery application: over Redis when there is one, else within the process.

celery -A controlplane.celery worker
celery -A controlplane.celery beat
"""

from __future__ import annotations

import os

import django
from celery import Celery
from django.apps import apps
from django.conf import settings
from django.utils.module_loading import autodiscover_modules

from controlplane import jobs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
if not apps.ready:
    django.setup()
autodiscover_modules("jobs")

app = Celery("switchgear")
app.conf.update(
    broker_url=settings.REDIS_URL or "memory://",
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    worker_hijack_root_logger=False,
    # The schedule is code, so there is nothing to remember between starts.
    beat_scheduler="celery.beat:Scheduler",
    beat_schedule={
        name: {
            "task": name,
            "schedule": job.every,
            # A run that could not start before the next is due is not made up for.
            "options": {"expires": job.every},
        }
        for name, job in jobs.registry.items()
    },
)
for name, job in jobs.registry.items():
    app.task(name=name)(job.run)
