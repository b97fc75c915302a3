"""Prices for tests: round numbers that can be multiplied in one's head."""

from __future__ import annotations

from shared.estimate.prices import (
    BigtablePrices,
    CloudRunPrices,
    CloudStoragePrices,
    FirestorePrices,
    Price,
    Prices,
    PubSubPrices,
)


def price(usd: float, date: str = "2026-01") -> Price:
    """A price of a page that does not exist."""
    return Price(usd=usd, title="Page", page="https://example.org/pricing", date=date)


def prices() -> Prices:
    """A whole table."""
    return Prices(
        region="nowhere1",
        cloud_run=CloudRunPrices(vcpu_second=price(0.5), gib_second=price(0.25)),
        pubsub=PubSubPrices(tib=price(2.0**40, "2025-12-31"), least_bytes=1000),
        firestore=FirestorePrices(read=price(1), write=price(10), delete=price(100), gib_month=price(2.0**30)),
        bigtable=BigtablePrices(node_hour=price(3, "2026-02"), ssd_gib_month=price(2.0**30)),
        storage=CloudStoragePrices(class_a=price(7), class_b=price(5), gib_month=price(2.0**30)),
    )
