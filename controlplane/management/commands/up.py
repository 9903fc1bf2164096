"""Start everything in one process: pages, REST, OTLP/HTTP, live boards and jobs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse
from django.utils.module_loading import import_string

from controlplane import first_run, plane, serving

RECEIVER = "ingest.receiver:app"
PAGES = "controlplane.asgi:application"


class Command(BaseCommand):
    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        ports = list(self.ports())
        # Imported before anything is made that is shown once: a broken installation
        # must not spend it.
        for port in ports:
            import_string(port.application.replace(":", "."))
        first_run.migrate()
        welcome = first_run.prepare()
        jobs = start_jobs()
        try:
            serving.serve(
                ports, started=lambda: self.greet(welcome), leaving=plane.drain
            )
        finally:
            if jobs is not None:
                jobs.stop()

    def ports(self) -> list[serving.Port]:
        """Bound before anything else is done, so that a busy port is said at once."""
        host = settings.HOST
        try:
            listener = serving.listen(host, settings.PORT)
        except OSError as error:
            msg = f"{host}:{settings.PORT}: {error.strerror}. Set SWITCHGEAR_PORT."
            raise CommandError(msg) from error
        ports = [serving.Port(PAGES, listener, lifespan=True)]
        if settings.OTLP_PORT:
            try:
                listener = serving.listen(host, settings.OTLP_PORT)
            except OSError as error:
                self.warn(
                    f"{host}:{settings.OTLP_PORT}: {error.strerror}. "
                    f"Spans are taken on port {settings.PORT} only."
                )
            else:
                ports.append(serving.Port(RECEIVER, listener))
        return ports

    def warn(self, text: str) -> None:
        self.stderr.write(self.style.WARNING(f"Warning: {text}"))

    def greet(self, welcome: first_run.Welcome) -> None:
        say = self.stdout.write
        base = settings.PUBLIC_URL or f"http://{url_host()}:{settings.PORT}"
        say(f"\nSwitchgear is on {base}/\n")
        if welcome.login_token:
            link = reverse("login_link", args=[welcome.login_token])
            say(f"Log in, once and within a day:\n  {base}{link}\n")
        if welcome.ingest_key:
            say("Send spans from any OpenTelemetry exporter:")
            say(f"  export OTEL_EXPORTER_OTLP_ENDPOINT={base}")
            say("  export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
            say(f"  export OTEL_EXPORTER_OTLP_HEADERS=x-api-key={welcome.ingest_key}\n")
        else:
            say("Another key:  python manage.py create_key --project Default")
        self.stdout.flush()


def url_host() -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104  compared, not bound
    return f"[{host}]" if ":" in host else host


def start_jobs() -> Any:
    """A worker in this process; None when workers of their own do it over Redis."""
    if settings.REDIS_URL:
        return None
    # Imported here: Celery costs memory and time that no other command should pay.
    from controlplane.embedded import EmbeddedJobs

    jobs = EmbeddedJobs()
    jobs.start()
    return jobs
