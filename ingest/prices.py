"""What an answer costs, in integer nano-USD, when the sender did not say.

Prices come from operator overrides first, then from genai-prices. What neither knows
is unpriced: never $0 by ignorance. Amounts are rounded half up to one nano-dollar,
once per span.
"""

from __future__ import annotations


class PriceBook:
    """Unit prices by provider, model and day."""
