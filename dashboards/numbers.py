"""Numbers in addresses: as many digits as every database surely holds."""

from __future__ import annotations

from django.urls.converters import IntConverter


class Number(IntConverter):
    regex = "[0-9]{1,18}"
