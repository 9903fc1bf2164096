"""API keys: how programs prove which project they belong to.

Only a hash is stored. A key is 32 random bytes, so one round of SHA-256 is enough:
there is nothing to guess, and the hot path checks it on every request.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models

from controlplane.models.projects import Project


class KeyScope(models.TextChoices):
    INGEST = "ingest", "send spans"
    READ = "read", "read metrics and calls"
    POLICY = "policy", "what services need: rules, leases, reports"
    WRITE = "write", "edit rules"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self, now: datetime) -> ApiKeyQuerySet:
        unexpired = models.Q(expires_at=None) | models.Q(expires_at__gt=now)
        return self.filter(unexpired, revoked_at=None)


class ApiKey(models.Model):
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=100, blank=True)
    prefix = models.CharField(max_length=16)  # shown, to tell keys apart
    digest = models.CharField(max_length=64)  # sha256 of the whole key, hex
    scopes = models.JSONField(default=list)
    # A key bound to a tenant speaks for that tenant, whatever its spans say.
    tenant = models.CharField(max_length=200, null=True, blank=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = models.Manager.from_queryset(ApiKeyQuerySet)()

    class Meta:
        verbose_name = "API key"
        constraints = [
            # Authentication looks keys up by it.
            models.UniqueConstraint(fields=["digest"], name="key_digest_once"),
            models.UniqueConstraint(fields=["prefix"], name="key_prefix_once"),
            models.CheckConstraint(
                condition=~models.Q(tenant=""), name="key_tenant_named_or_null"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.project}"
