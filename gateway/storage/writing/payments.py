"""Rows of payments: one select, one reader, and how they are written. And decisions, which stand apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Select, Uuid, and_, any_, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY, asyncpg

from gateway.domain.cards import Card
from gateway.domain.checkouts import CheckoutRef
from gateway.domain.codes import ClosedReason, asked_from_json, asked_to_json
from gateway.domain.intents import Verb
from gateway.domain.orders import Order
from gateway.domain.payments import Payment
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import Status
from gateway.storage.server.database import Connection
from gateway.storage.tables import cards, checkouts, decisions, intents, outflows, payments
from gateway.storage.writing.failures import failure_columns, failure_of, limit_to_json, with_limit
from gateway.storage.writing.intents import INTENT_COLUMNS, intent_of
from gateway.storage.writing.statement import Row, Write

__all__ = [
    "FREES_ITS_LEASE",
    "PAYMENT_COLUMNS",
    "change_authenticating",
    "change_payments",
    "checkout_ref",
    "compiled",
    "insert_correction",
    "insert_decisions",
    "insert_payments",
    "json_of",
    "payment_of",
    "payment_select",
    "payments_by_id",
    "said",
]

_p, _i, _c, _o, _k = payments.c, intents.c, cards.c, outflows.c, checkouts.c

PAYMENT_COLUMNS: tuple[ColumnElement[Any], ...] = (
    _p.merchant_id,
    _p.payment_id,
    _p.app,
    _p.merchant_order_no,
    _p.kind,
    _p.scene,
    _p.user_id,
    _p.card_id,
    _p.bank,
    _p.amount,
    _p.currency,
    _p.status,
    _p.channel,
    _p.account,
    _p.channel_order_no,
    _p.authentication_id,
    _p.expected_fee,
    _p.fee,
    _p.authentication_fee,
    _p.failure_code,
    _p.failure_blame,
    _p.failure_advice,
    _p.failure_limit,
    _p.channel_code,
    _p.channel_message,
    _p.description,
    _p.metadata,
    _p.sequence,
    _p.due_at,
    _p.until_at,
    _p.created_at,
    _p.finished_at,
    _p.business_day,
    _p.customer_present,
    _p.expires_in_s,
    _p.asked,
    _p.closed_reason,
    _p.custody_user_no,
    _p.psp_code,
    _p.checkout_id,
    _k.status.label("checkout_status"),
    _p.corrects,
    _p.corrects_no,
    *INTENT_COLUMNS,
    _c.masked.label("card_masked"),
    func.coalesce(_o.refunded + _o.excess, literal_column("0")).label("refunded"),
    func.coalesce(_o.settled, literal_column("0")).label("settled"),
)
"""What `payment_of` reads: of `payments`, its intent to pay, card, checkout, and what has left it (or nulls)."""


def payment_select() -> Select[Any]:
    """Payments with their intent to pay and card. The caller adds `WHERE payments.merchant_id = …`, always."""
    # Joined by merchant too: that is what keeps the statement on one node of a cluster.
    to_pay = and_(
        _i.merchant_id == _p.merchant_id,
        _i.object_id == func.coalesce(_p.corrects, _p.payment_id),
        _i.verb == said(Verb.PAY),
        _i.ordinal == func.coalesce(_p.attempt_ordinal, literal_column("1")),
    )
    of_card = and_(_c.merchant_id == _p.merchant_id, _c.card_id == _p.card_id)
    left = and_(_o.merchant_id == _p.merchant_id, _o.payment_id == _p.payment_id)
    its_checkout = and_(_k.merchant_id == _p.merchant_id, _k.checkout_id == _p.checkout_id)
    joined = payments.outerjoin(intents, to_pay).outerjoin(cards, of_card).outerjoin(outflows, left)
    joined = joined.outerjoin(checkouts, its_checkout)
    return select(*PAYMENT_COLUMNS).select_from(joined)


def said(verb: Verb) -> ColumnElement[str]:
    """A verb in the text of a statement, not among its values."""
    return literal_column(f"'{verb}'")


def compiled(statement: Select[Any]) -> str:
    """The text of a statement whose values are all bound parameters; `$1`, `$2`, … in the order they come in it."""
    return str(statement.compile(dialect=asyncpg.dialect()))  # type: ignore[no-untyped-call]


_BY_ID = compiled(
    payment_select().where(
        _p.merchant_id == bindparam("merchant"), _p.payment_id == any_(bindparam("ids", type_=ARRAY(Uuid)))
    )
)


async def payments_by_id(connection: Connection, merchant_id: UUID, ids: Iterable[UUID]) -> list[Payment]:
    """Some of a merchant's payments, in no order. One statement text, however many they are."""
    return [payment_of(row) for row in await connection.fetch(_BY_ID, merchant_id, list(ids))]


def payment_of(row: Mapping[str, Any]) -> Payment:
    """The payment of a row of `payment_select()`."""
    payment_id, limit = row["payment_id"], row["failure_limit"]
    attempt = intent_of(row, row["corrects"] or payment_id, Verb.PAY) if row["intent_id"] is not None else None
    if attempt is not None and row["corrects_no"] is not None:
        attempt = replace(attempt, channel_transaction_no=row["corrects_no"])
    return Payment(
        merchant_id=row["merchant_id"],
        payment_id=payment_id,
        app=row["app"],
        merchant_order_no=row["merchant_order_no"],
        kind=Kind(row["kind"]),
        scene=Scene(row["scene"]),
        user_id=row["user_id"],
        bank=row["bank"],
        amount=row["amount"],
        currency=row["currency"],
        status=Status(row["status"]),
        card=Card(row["card_id"], row["card_masked"], row["bank"]) if row["card_id"] is not None else None,
        channel=row["channel"],
        account=row["account"],
        channel_order_no=row["channel_order_no"],
        authentication_id=row["authentication_id"],
        expected_fee=row["expected_fee"],
        fee=row["fee"],
        authentication_fee=row["authentication_fee"],
        failure=failure_of(row) if limit is None else with_limit(failure_of(row), json_of(limit)),
        attempt=attempt,
        due_at=row["due_at"],
        until_at=row["until_at"],
        sequence=row["sequence"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        business_day=row["business_day"],
        description=row["description"],
        metadata=json_of(row["metadata"]),
        refunded=row["refunded"],
        settled=row["settled"],
        customer_present=row["customer_present"],
        expires_in_s=row["expires_in_s"],
        asked=asked_from_json(json_of(row["asked"])) if row["asked"] is not None else None,
        closed_reason=ClosedReason(row["closed_reason"]) if row["closed_reason"] is not None else None,
        custody_user_no=row["custody_user_no"],
        psp_code=row["psp_code"],
        checkout=checkout_ref(row),
        corrects=row["corrects"],
    )


def checkout_ref(row: Mapping[str, Any]) -> CheckoutRef | None:
    """The checkout of a try's row."""
    return CheckoutRef(row["checkout_id"], Status(row["checkout_status"])) if row["checkout_id"] is not None else None


def insert_correction(write: Write, payment: Payment, second: str | None, *, only: str) -> None:
    """Insert a payment that corrects another, whose order the part `only` returned. `second`: as in `ProvedMoney`."""
    assert payment.attempt is not None, "its intent is that of the one it corrects"
    row = _row(payment) | {
        "fee": payment.fee,
        "attempt_ordinal": payment.attempt.ordinal,
        "corrects": payment.corrects,
        "corrects_no": second,
    }
    write.insert(payments, [row], only=(only, "payment_id"))


def insert_payments(write: Write, opened: Sequence[tuple[Order, Payment]], *, only: str) -> None:
    """Insert payments whose order the part `only` returned."""
    plain, asking, limited = [], [], []
    for order, payment in opened:
        row = _row(payment) | {"return_url": order.return_url}
        if payment.asked is not None:
            asking.append(row | {"asked": asked_to_json(payment.asked)})
        elif limit := limit_to_json(payment.failure):
            limited.append(row | {"failure_limit": limit})
        else:
            plain.append(row)
    write.insert(payments, plain, only=(only, "payment_id"))
    write.insert(payments, asking, only=(only, "payment_id"), part="new_asking")
    write.insert(payments, limited, only=(only, "payment_id"), part="new_limited")


def insert_decisions(write: Write, made: Sequence[tuple[UUID, Mapping[str, Any]]], *, only: str) -> None:
    """Insert the decision record of each object that the part `only` returned."""
    rows = [{"object_id": object_id, "decision": record} for object_id, record in made]
    write.insert(decisions, rows, only=(only, "object_id"))


FREES_ITS_LEASE = ", lease_until = CASE WHEN t.due_at IS NOT DISTINCT FROM v.due_at THEN t.lease_until END"
"""Whoever moves what is due frees it; a word that moves nothing leaves it to the one that is asking."""

_FREES_ITS_LEASE = (
    ", lease_until = CASE WHEN t.due_at IS NOT DISTINCT FROM v.due_at AND t.until_at IS NOT DISTINCT FROM v.until_at"
    " THEN t.lease_until END"
)


def change_payments(write: Write, changed: Sequence[Payment]) -> None:
    """Write what became of payments. Those that never ask their payer for anything have less to write."""
    plain = [_changing(payment) for payment in changed if payment.asked is None and payment.closed_reason is None]
    write.update(payments, plain, by=["payment_id"], also=_FREES_ITS_LEASE)
    asking = [
        _changing(payment)
        | {
            "asked": asked_to_json(payment.asked) if payment.asked else None,
            "closed_reason": payment.closed_reason,
            "attempt_ordinal": payment.attempt.ordinal if payment.attempt else None,
            "channel_order_no": payment.channel_order_no,
        }
        for payment in changed
        if payment.asked is not None or payment.closed_reason is not None
    ]
    write.update(payments, asking, by=["payment_id"], also=_FREES_ITS_LEASE, part="changed_asking")


def change_authenticating(write: Write, changed: Sequence[Payment]) -> None:
    """Write what became of payments that stood in line, and wait for an authentication now."""
    rows = [
        _changing(payment)
        | {
            "authentication_id": payment.authentication_id,
            "asked": asked_to_json(payment.asked) if payment.asked else None,
        }
        for payment in changed
    ]
    write.update(payments, rows, by=["payment_id"], also=_FREES_ITS_LEASE, part="authenticating_payments")


def _row(payment: Payment) -> Row:
    return {
        "payment_id": payment.payment_id,
        "app": payment.app,
        "merchant_order_no": payment.merchant_order_no,
        "kind": payment.kind,
        "scene": payment.scene,
        "user_id": payment.user_id,
        "card_id": payment.card.card_id if payment.card else None,
        "bank": payment.bank,
        "amount": payment.amount,
        "currency": payment.currency,
        "status": payment.status,
        "channel": payment.channel,
        "account": payment.account,
        "channel_order_no": payment.channel_order_no,
        "authentication_id": payment.authentication_id,
        "expected_fee": payment.expected_fee,
        **failure_columns(payment.failure),
        "description": payment.description,
        "metadata": payment.metadata,
        "customer_present": payment.customer_present,
        "expires_in_s": payment.expires_in_s,
        "sequence": payment.sequence,
        "due_at": payment.due_at,
        "until_at": payment.until_at,
        "created_at": payment.created_at,
        "finished_at": payment.finished_at,
        "business_day": payment.business_day,
        "custody_user_no": payment.custody_user_no,
        "psp_code": payment.psp_code,
        "checkout_id": payment.checkout.checkout_id if payment.checkout else None,
    }


def _changing(payment: Payment) -> Row:
    return {
        "payment_id": payment.payment_id,
        "status": payment.status,
        "fee": payment.fee,
        "authentication_fee": payment.authentication_fee,
        **failure_columns(payment.failure),
        "sequence": payment.sequence,
        "due_at": payment.due_at,
        "until_at": payment.until_at,
        "finished_at": payment.finished_at,
    }


def json_of(value: Any) -> Any:
    """A JSON column: asyncpg gives its text, SQLAlchemy what it means."""
    return orjson.loads(value) if isinstance(value, str) else value
