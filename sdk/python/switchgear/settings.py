"""What a client has to know of itself and of its control plane.

Arguments come before ``SWITCHGEAR_*``, these before what OpenTelemetry was told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from switchgear.cache import default_folder

UNNAMED_SERVICE = "unknown_service"


@dataclass(frozen=True, slots=True)
class Settings:
    """Without an endpoint nothing is asked of anybody."""

    endpoint: str
    api_key: str
    service: str
    environment: str
    cache_dir: Path | None


def read(
    environ: Mapping[str, str],
    *,
    endpoint: str | None,
    api_key: str | None,
    service: str | None,
    environment: str | None,
    cache_dir: str | Path | None,
) -> Settings:
    resource = _resource(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    named = (
        service
        or environ.get("OTEL_SERVICE_NAME")
        or resource.get("service.name")
        or UNNAMED_SERVICE
    )
    where = (
        environment
        or environ.get("SWITCHGEAR_ENVIRONMENT")
        or resource.get("deployment.environment.name")
        or resource.get("deployment.environment")
        or "default"
    )
    given = environ.get("SWITCHGEAR_ENDPOINT", "") if endpoint is None else endpoint
    key = environ.get("SWITCHGEAR_API_KEY", "") if api_key is None else api_key
    folder = Path(cache_dir) if cache_dir else default_folder(environ)
    return Settings(given.strip(), key.strip(), named, where, folder)


def _resource(said: str) -> dict[str, str]:
    """``key=value,key=value``, with the values percent-encoded."""
    pairs = (each.partition("=") for each in said.split(",") if "=" in each)
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs}
