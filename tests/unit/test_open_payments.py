"""The metrics of open payments: what is shown, and that nothing of it troubles anybody else.

Not tested here: how they are counted (tests/storage/test_payment_metrics.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from gateway.domain.catalogue import Catalogue, Merchant
from gateway.workers.open_payments import OpenPaymentsWatch
from tests.unit.domain.samples import NOW

LARGE, SMALL = UUID(int=0xA1), UUID(int=0xA2)


@dataclass(frozen=True)
class Open:
    number: int
    oldest: datetime


@dataclass
class Books:
    of: dict[UUID, Mapping[str, Open] | Exception] = field(default_factory=dict)

    async def read(self, merchant_id: UUID) -> Mapping[str, Open]:
        found = self.of.get(merchant_id, {})
        if isinstance(found, Exception):
            raise found
        return found


def watch(books: Books) -> OpenPaymentsWatch:
    merchants = (Merchant(LARGE, "open-large", ""), Merchant(SMALL, "open-small", ""))
    return OpenPaymentsWatch(books.read, lambda: Catalogue(1, merchants), lambda: NOW)


def shown(merchant: str, channel: str) -> tuple[float | None, float | None]:
    labels = {"merchant": merchant, "channel": channel}
    names = ("sluice_open_payments", "sluice_oldest_open_payment_seconds")
    number, age_s = (REGISTRY.get_sample_value(name, labels) for name in names)
    return number, age_s


async def test_open_payments_and_the_age_of_the_oldest_are_shown_until_there_are_none() -> None:
    books = Books({LARGE: {"up": Open(3, NOW - timedelta(seconds=40)), "tlt": Open(1, NOW + timedelta(seconds=1))}})
    watched = watch(books)
    await watched.look()
    assert (shown("open-large", "up"), shown("open-large", "tlt")) == ((3, 40), (1, 0))
    books.of[LARGE] = {"tlt": Open(1, NOW)}
    await watched.look()
    assert (shown("open-large", "up"), shown("open-large", "tlt")) == ((0, 0), (1, 0))


async def test_a_merchant_that_cannot_be_read_hides_no_other_and_is_told_once() -> None:
    books = Books({LARGE: TimeoutError(), SMALL: {"a": Open(2, NOW)}})
    watched = watch(books)
    with capture_logs() as told:
        await watched.look()
        await watched.look()
    assert shown("open-small", "a") == (2, 0)
    assert [(line["log_level"], line["error_type"]) for line in told] == [("warning", "TimeoutError")]


async def test_a_watch_that_was_stopped_looks_no_more() -> None:
    watched = watch(Books())
    watched.start()
    await watched.stop()
    await watched.stop()
