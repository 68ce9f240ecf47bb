"""What `sluice doctor` finds in books of checkouts with planted faults. That it finds nothing in sound ones, every test
of checkouts here asks at its end (conftest).
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.authentications import Authentication
from gateway.domain.checkouts import Checkout
from gateway.domain.hearing import Source
from gateway.domain.ids import AUTHENTICATION, CHECKOUT, PAYMENT, show
from gateway.domain.payments import Payment
from gateway.storage.keys import Keys
from gateway.storage.reading.doctor import examine
from tests.databases import TABLES, Server, own_database
from tests.storage.gateway_process import Process
from tests.storage.payers import SILENT, code_word, that_can
from tests.storage.test_checkouts_sign import BOUND
from tests.storage.tills import PAID, Till, till_place
from tests.unit.domain.samples import NOW, later

PROTECTED = ("checkouts", "payments", "authentications")


@pytest.fixture(scope="module")
async def unprotected(postgres: Server, template: str) -> AsyncIterator[AsyncEngine]:
    """A database in which checkouts and their tries may be anything."""
    async with own_database(postgres, template) as engine:
        async with engine.begin() as connection:
            for table in PROTECTED:
                names = await connection.execute(
                    text("SELECT conname FROM pg_constraint WHERE conrelid = CAST(:table AS regclass) "
                         "AND contype IN ('c', 'f')"),
                    {"table": table},
                )  # fmt: skip
                for (name,) in names.all():
                    await connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        yield engine


@pytest.fixture
async def books(unprotected: AsyncEngine, keys_of_tills: Keys) -> Till:
    """Sound books that nothing protects."""
    async with unprotected.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in TABLES:
            await connection.execute(text(f"DELETE FROM {table}"))
    return Till(Process(unprotected, keys_of_tills, till_place(), delivers=True, carries_of=that_can()))


async def paid(books: Till) -> tuple[Checkout, Payment, Payment]:
    """A checkout whose second try paid, and its tries."""
    checkout = await books.opens()
    return checkout, await books.fails(checkout), await books.pays(checkout, 2)


async def plant(books: Till, *statements: str, at: Any = NOW) -> list[str]:
    for statement in statements:
        await books.process.rows(statement)
    return await examine(books.process.engine, at)


def named(checkout: Checkout) -> str:
    return show(CHECKOUT, checkout.checkout_id)


def pay(payment: Payment) -> str:
    return show(PAYMENT, payment.payment_id)


def auth(signing: Authentication) -> str:
    return show(AUTHENTICATION, signing.authentication_id)


async def test_sound_books_have_nothing_wrong(books: Till) -> None:
    checkout, first, _ = await paid(books)
    await books.process.heard(first, PAID, Source.CALLBACK)
    assert await books.types(checkout) == ["checkout.succeeded", "checkout.anomaly"]
    assert await plant(books) == []


async def test_a_try_that_succeeded_unheard_of_is_found(books: Till) -> None:
    checkout, _, second = await paid(books)
    undone = "UPDATE checkouts SET status = 'open', won_by = NULL, sequence = 0, until_at = expires_at"
    found = await plant(books, undone)
    said = f"checkout {named(checkout)} is open, and its payment {pay(second)} succeeded unheard of"
    assert [each for each in found if "unheard" in each] == [said]


async def test_a_signing_that_succeeded_unheard_of_is_found(books: Till) -> None:
    books.process.catalogue = till_place(SILENT)
    checkout = await books.opens_to_sign()
    signing = (await books.signs(checkout)).authentication
    await books.process.books.record(code_word(signing, BOUND))
    found = await plant(books, "UPDATE checkouts SET won_by = NULL")
    assert found == [
        f"checkout {named(checkout)} is succeeded, and its authentication {auth(signing)} succeeded unheard of",
        f"checkout {named(checkout)} succeeded, and none of its tries did",
    ]


async def test_a_success_of_no_try_is_found(books: Till) -> None:
    checkout, first, _ = await paid(books)
    found = await plant(books, f"UPDATE checkouts SET won_by = '{first.payment_id}'")
    assert f"checkout {named(checkout)} succeeded, and none of its tries did" in found


async def test_tries_that_are_miscounted_are_found(books: Till) -> None:
    checkout, *_ = await paid(books)
    found = await plant(books, "UPDATE checkouts SET tries = 3")
    assert found == [f"checkout {named(checkout)} says that it was tried 3 times, and there are 2"]


async def test_a_try_that_is_open_after_the_end_is_found(books: Till) -> None:
    checkout = await books.opens()
    payment = (await books.tries(checkout)).payment
    ended = "UPDATE checkouts SET status = 'expired', until_at = NULL, finished_at = created_at"
    found = await plant(books, ended)
    said = f"checkout {named(checkout)} is expired, and its payment {pay(payment)} is still open"
    assert said in found


async def test_a_signing_that_is_open_after_the_end_is_found(books: Till) -> None:
    books.process.catalogue = till_place(SILENT)
    checkout = await books.opens_to_sign()
    signing = (await books.signs(checkout)).authentication
    found = await plant(books, "UPDATE checkouts SET status = 'canceled', until_at = NULL")
    said = f"its authentication {auth(signing)} is still open"
    assert f"checkout {named(checkout)} is canceled, and {said}" in found


async def test_money_beside_anothers_that_no_anomaly_tells_is_found(books: Till) -> None:
    checkout, first, _ = await paid(books)
    await books.process.heard(first, PAID, Source.CALLBACK)
    found = await plant(books, "DELETE FROM anomalies")
    assert found == [f"checkout {named(checkout)} was paid by {pay(first)} too, and no anomaly tells it"]


async def test_a_checkout_that_no_clock_looks_at_is_found(books: Till) -> None:
    checkout = await books.opens(expires_in_s=60)
    assert await plant(books, at=later(minutes=2)) == []
    [found] = await plant(books, at=later(minutes=4))
    assert found.startswith(f"{named(checkout)} has been waiting for what is due on it since")
    leased = (later(minutes=4) + timedelta(seconds=1)).isoformat()
    assert await plant(books, f"UPDATE checkouts SET lease_until = '{leased}'", at=later(minutes=4)) == []


async def test_a_checkout_without_its_order_is_found(books: Till) -> None:
    checkout, *_ = await paid(books)
    found = await plant(books, "DELETE FROM orders WHERE object = 'checkout'")
    assert found == [f"checkout {named(checkout)} has no order"]


async def test_an_end_that_was_not_told_is_found(books: Till) -> None:
    checkout, *_ = await paid(books)
    found = await plant(books, "DELETE FROM deliveries", "DELETE FROM events WHERE object = 'checkout'")
    assert any(named(checkout) in each for each in found)
