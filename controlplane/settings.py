"""Django settings; everything an operator may change is read from the environment."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from controlplane.env import (
    database,
    env_bool,
    env_int,
    env_list,
    env_secret,
    env_text,
    kept_secret,
)

PACKAGE_DIR = Path(__file__).resolve().parent
BASE_DIR = PACKAGE_DIR.parent
# An installed wheel carries templates and static files inside the package.
ASSETS_DIR = BASE_DIR if (BASE_DIR / "manage.py").exists() else PACKAGE_DIR / "_assets"
DATA_DIR = Path(env_text("SWITCHGEAR_DATA_DIR")).expanduser().resolve()

HOST = env_text("SWITCHGEAR_HOST")
PORT = env_int("SWITCHGEAR_PORT")
OTLP_PORT = env_int("SWITCHGEAR_OTLP_PORT")
PUBLIC_URL = env_text("SWITCHGEAR_PUBLIC_URL").rstrip("/")
PROCESSES = env_int("SWITCHGEAR_PROCESSES")
REDIS_URL = env_secret("REDIS_URL")

DEBUG = env_bool("SWITCHGEAR_DEBUG")
SECRET_KEY = env_secret("SWITCHGEAR_SECRET_KEY") or kept_secret(DATA_DIR / "secret.key")
ALLOWED_HOSTS = env_list("SWITCHGEAR_ALLOWED_HOSTS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "django_htmx",
    "controlplane",
    "ingest",
    "dashboards",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "controlplane.middleware.security_headers",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "controlplane.urls"
ASGI_APPLICATION = "controlplane.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ASSETS_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": database(
        env_secret("DATABASE_URL"), sqlite=DATA_DIR / "control.sqlite3"
    ),
    "telemetry": database(
        env_secret("TELEMETRY_DATABASE_URL"), sqlite=DATA_DIR / "telemetry.sqlite3"
    ),
}
DATABASE_ROUTERS = ["controlplane.router.TelemetryRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
# Several products share localhost, and browsers keep one cookie jar per host name.
SESSION_COOKIE_NAME = "switchgear_session"
CSRF_COOKIE_NAME = "switchgear_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = urlsplit(PUBLIC_URL).scheme == "https"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if SESSION_COOKIE_SECURE else None
)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

STATIC_URL = "/static/"
STATICFILES_DIRS = [ASSETS_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "controlplane.finders.PlotlyFinder",
]
# Served from where they are: the one-command start needs no collectstatic.
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = DEBUG
SERVESTATIC_ALLOW_ALL_ORIGINS = False  # no font or script of ours is for other sites

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    # The Accept header decides; a query parameter would be one we do not know.
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Switchgear",
    "VERSION": "1",
    "DESCRIPTION": (
        "What services called, how it went, what it took and what it cost.\n\n"
        "Every request needs an API key with scope `read` (`Authorization: Bearer`, "
        "`x-api-key`, or the password of HTTP Basic), or the session of a member.\n\n"
        "Errors are `application/problem+json` (RFC 9457) with a stable `code`. "
        "Lists are `{items, next}`; a page may be short, even empty, while `next` is "
        "not null."
    ),
    "TAGS": [
        {"name": "Read", "description": "Figures, calls, and who they are of"},
        {
            "name": "Policy",
            "description": "Rules and versions; to edit needs `write`",
        },
    ],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    # Choices stand where they are used, and need no names of their own.
    "POSTPROCESSING_HOOKS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        # They tell every run of every job.
        "celery": {"level": "WARNING"},
        "kombu": {"level": "ERROR"},
        # A refused request is the caller's business, and its path may hold a token.
        "django.request": {"level": "ERROR"},
    },
    "root": {"handlers": ["console"], "level": env_text("SWITCHGEAR_LOG_LEVEL")},
}
