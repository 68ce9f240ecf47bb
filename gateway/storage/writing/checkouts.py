"""Rows of checkouts: one select, one reader, and how they are written. And their tries, which are rows of their own."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from gateway.domain.authentications import Authentication
from gateway.domain.checkouts import Checkout, CheckoutPurpose, Method
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.storage.server.database import Connection
from gateway.storage.tables import authentications, checkouts, payments
from gateway.storage.writing.authentications import authentication_of, authentication_select
from gateway.storage.writing.payments import compiled, json_of, payment_of, payment_select
from gateway.storage.writing.statement import Row, Write

__all__ = [
    "change_checkouts",
    "checkout_of",
    "checkouts_by_id",
    "count_tries",
    "insert_checkout",
    "payments_of_checkouts",
    "signings_of_checkouts",
]

_k, _p, _a = checkouts.c, payments.c, authentications.c
_IDS = bindparam("ids", type_=ARRAY(Uuid))

_BY_ID = compiled(select(checkouts).where(_k.merchant_id == bindparam("merchant"), _k.checkout_id == any_(_IDS)))
_PAYMENTS = compiled(payment_select().where(_p.merchant_id == bindparam("merchant"), _p.checkout_id == any_(_IDS)))
_SIGNINGS = compiled(
    authentication_select().where(_a.merchant_id == bindparam("merchant"), _a.checkout_id == any_(_IDS))
)

COUNT_TRIES = """
UPDATE checkouts t SET tries = v.tries, codes = v.codes, status = v.status, won_by = v.won_by, sequence = v.sequence,
    until_at = v.until_at, finished_at = v.finished_at, lease_until = NULL
FROM {rows} JOIN {only} USING (object_id)
WHERE t.merchant_id = $1::uuid AND t.checkout_id = v.checkout_id
"""


async def checkouts_by_id(connection: Connection, merchant_id: UUID, ids: Collection[UUID]) -> dict[UUID, Checkout]:
    """Some of a merchant's checkouts, by id. What is to hold is read under the lock of their users."""
    rows = await connection.fetch(_BY_ID, merchant_id, list(ids))
    return {row["checkout_id"]: checkout_of(row) for row in rows}


async def payments_of_checkouts(connection: Connection, merchant_id: UUID, ids: Collection[UUID]) -> list[Payment]:
    """Every payment of these checkouts."""
    return [payment_of(row) for row in await connection.fetch(_PAYMENTS, merchant_id, list(ids))]


async def signings_of_checkouts(
    connection: Connection, merchant_id: UUID, ids: Collection[UUID]
) -> list[Authentication]:
    """Every authentication of these checkouts."""
    return [authentication_of(row) for row in await connection.fetch(_SIGNINGS, merchant_id, list(ids))]


def checkout_of(row: Mapping[str, Any]) -> Checkout:
    """The checkout of a row."""
    return Checkout(
        merchant_id=row["merchant_id"],
        checkout_id=row["checkout_id"],
        app=row["app"],
        merchant_order_no=row["merchant_order_no"],
        purpose=CheckoutPurpose(row["purpose"]),
        user_id=row["user_id"],
        amount=row["amount"],
        currency=row["currency"],
        description=row["description"],
        methods=tuple(Method(each) for each in row["methods"]),
        custody_user_no=row["custody_user_no"],
        return_url=row["return_url"],
        status=Status(row["status"]),
        won_by=row["won_by"],
        tries=row["tries"],
        codes=row["codes"],
        sequence=row["sequence"],
        expires_at=row["expires_at"],
        until_at=row["until_at"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        metadata=json_of(row["metadata"]),
    )


def insert_checkout(write: Write, checkout: Checkout, *, only: str) -> None:
    """Insert a checkout, if the part `only` returned its order."""
    row = {
        "object_id": checkout.checkout_id,
        "checkout_id": checkout.checkout_id,
        "app": checkout.app,
        "merchant_order_no": checkout.merchant_order_no,
        "purpose": checkout.purpose,
        "user_id": checkout.user_id,
        "amount": checkout.amount,
        "currency": checkout.currency,
        "description": checkout.description,
        "methods": f"{{{','.join(checkout.methods)}}}",  # as PostgreSQL writes an array: plain words
        "custody_user_no": checkout.custody_user_no,
        "return_url": checkout.return_url,
        "tries": checkout.tries,
        "expires_at": checkout.expires_at,
        "created_at": checkout.created_at,
        "metadata": checkout.metadata,
        **_changing(checkout),
    }
    write.insert(checkouts, [row], only=(only, "object_id"))


def change_checkouts(write: Write, changed: Sequence[Checkout]) -> None:
    """Write what became of checkouts. Whoever moves one frees its lease."""
    rows = [{"checkout_id": each.checkout_id, **_changing(each)} for each in changed]
    write.update(checkouts, rows, by=["checkout_id"], also=", lease_until = NULL")


def count_tries(write: Write, tried: Mapping[UUID, Checkout], *, only: str) -> None:
    """Write checkouts with their new tries, by the object of that, which the part `only` returned."""
    rows: list[Row] = [
        {"object_id": object_id, "checkout_id": each.checkout_id, "tries": each.tries, **_changing(each)}
        for object_id, each in tried.items()
    ]
    write.part("counted_tries", checkouts, rows, COUNT_TRIES.replace("{only}", only))


def _changing(checkout: Checkout) -> Row:
    return {
        "status": checkout.status,
        "won_by": checkout.won_by,
        "codes": checkout.codes,
        "sequence": checkout.sequence,
        "until_at": checkout.until_at,
        "finished_at": checkout.finished_at,
    }
