"""One-time links that log a user in; only a hash of the token is stored."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class LoginLink(models.Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    digest = models.CharField(max_length=64)  # sha256 of the token, hex
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["digest"], name="login_link_digest_once"),
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")),
                name="login_link_expires_after_it_is_made",
            ),
        ]

    def __str__(self) -> str:
        return f"login link of {self.user}"
