"""System checks: say wrong settings at the start, before they lose data quietly."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Advice

IN_MEMORY = "channels.layers.InMemoryChannelLayer"
SQLITE = "django.db.backends.sqlite3"
WEAK_KEY = 32  # characters


@register()
def processes_share_channels(**kwargs: Any) -> Iterable[CheckMessage]:
    if settings.PROCESSES > 1 and settings.CHANNEL_LAYERS["default"]["BACKEND"] == (
        IN_MEMORY
    ):
        yield Error(
            "Several web processes cannot share an in-memory channel layer.",
            hint="Set REDIS_URL, or run a single process.",
            id="controlplane.E001",
        )


@register()
def databases_are_two(**kwargs: Any) -> Iterable[CheckMessage]:
    control, telemetry = settings.DATABASES["default"], settings.DATABASES["telemetry"]
    keys = ("ENGINE", "HOST", "PORT", "NAME")
    if [control.get(key) for key in keys] == [telemetry.get(key) for key in keys]:
        yield Error(
            "Control and telemetry are the same database.",
            hint="Give DATABASE_URL and TELEMETRY_DATABASE_URL different names: "
            "a busy telemetry store must not slow the control plane.",
            id="controlplane.E002",
        )


@register()
def secret_key_is_strong(**kwargs: Any) -> Iterable[CheckMessage]:
    if not settings.DEBUG and len(settings.SECRET_KEY) < WEAK_KEY:
        yield Error(
            f"The secret key has fewer than {WEAK_KEY} characters.",
            hint="Leave SWITCHGEAR_SECRET_KEY empty to have one made and kept.",
            id="controlplane.E003",
        )


@register()
def debug_stays_at_home(**kwargs: Any) -> Iterable[CheckMessage]:
    if settings.DEBUG and not is_loopback(settings.HOST):
        yield Error(
            "Debug pages show settings and code to whoever reaches this host.",
            hint="Unset SWITCHGEAR_DEBUG, or listen on 127.0.0.1.",
            id="controlplane.E004",
        )


@register()
def ports_are_different(**kwargs: Any) -> Iterable[CheckMessage]:
    if settings.PORT == settings.OTLP_PORT:
        yield Error(
            f"SWITCHGEAR_PORT and SWITCHGEAR_OTLP_PORT are both {settings.PORT}.",
            hint="Set SWITCHGEAR_OTLP_PORT=0: the main port takes spans too.",
            id="controlplane.E005",
        )


@register()
def public_url_is_an_origin(**kwargs: Any) -> Iterable[CheckMessage]:
    url = settings.PUBLIC_URL
    if url and not url.startswith(("http://", "https://")):
        yield Error(
            f"SWITCHGEAR_PUBLIC_URL is {url!r}.",
            hint="Write it with its scheme: https://switchgear.example.com",
            id="controlplane.E006",
        )


@register()
def passwords_travel_encrypted(**kwargs: Any) -> Iterable[CheckMessage]:
    if not is_loopback(settings.HOST) and not settings.SESSION_COOKIE_SECURE:
        yield Advice(
            "Log-ins and keys reach this host in clear text.",
            hint="Put a TLS proxy in front and set SWITCHGEAR_PUBLIC_URL=https://...",
            id="controlplane.W001",
        )


@register()
def host_names_are_listed(**kwargs: Any) -> Iterable[CheckMessage]:
    if settings.PUBLIC_URL and "*" in settings.ALLOWED_HOSTS:
        yield Advice(
            "A public server answers to any host name.",
            hint="Set SWITCHGEAR_ALLOWED_HOSTS to the name in SWITCHGEAR_PUBLIC_URL.",
            id="controlplane.W002",
        )


@register()
def processes_share_sqlite(**kwargs: Any) -> Iterable[CheckMessage]:
    sqlite = [d for d in settings.DATABASES.values() if d["ENGINE"] == SQLITE]
    if settings.PROCESSES > 1 and sqlite:
        yield Advice(
            "Several processes write the same SQLite file, one at a time.",
            hint="Set DATABASE_URL and TELEMETRY_DATABASE_URL to PostgreSQL.",
            id="controlplane.W003",
        )


@register()
def assets_are_there(**kwargs: Any) -> Iterable[CheckMessage]:
    missing = [
        name
        for name in ("templates", "static")
        if not Path(settings.ASSETS_DIR, name).is_dir()
    ]
    if missing:
        yield Error(
            f"{' and '.join(missing)} not found in {settings.ASSETS_DIR}.",
            hint="Install the server whole, or start it from its repository.",
            id="controlplane.E007",
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
