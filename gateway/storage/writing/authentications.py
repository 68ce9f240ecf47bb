"""Rows of authentications: one select, one reader, and how they are written."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, and_, any_, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY

from gateway.domain.authentications import Authentication
from gateway.domain.codes import ClosedReason, asked_from_json, asked_to_json
from gateway.domain.intents import Verb
from gateway.domain.statuses import Status
from gateway.storage.server.database import Connection
from gateway.storage.tables import authentications, cards, checkouts, intents
from gateway.storage.writing.failures import failure_columns, failure_of
from gateway.storage.writing.intents import INTENT_COLUMNS, intent_of
from gateway.storage.writing.payments import FREES_ITS_LEASE, checkout_ref, compiled, json_of, said
from gateway.storage.writing.statement import Row, Write

__all__ = [
    "authentication_of",
    "authentication_select",
    "authentications_by_id",
    "change_authentications",
    "insert_authentications",
    "insert_own_authentications",
]

_a, _i, _c, _k = authentications.c, intents.c, cards.c, checkouts.c

AUTHENTICATION_COLUMNS: tuple[ColumnElement[Any], ...] = (
    _a.merchant_id,
    _a.authentication_id,
    _a.payment_id,
    _a.user_id,
    _a.card_id,
    _a.bank,
    _a.account,
    _a.channel,
    _a.status,
    _a.fee,
    _a.failure_code,
    _a.failure_blame,
    _a.failure_advice,
    _a.channel_code,
    _a.channel_message,
    _a.contradicts,
    _a.due_at,
    _a.created_at,
    _a.finished_at,
    _a.asked,
    _a.until_at,
    _a.closed_reason,
    _a.app,
    _a.merchant_order_no,
    _a.sequence,
    _a.expires_in_s,
    _a.metadata,
    _a.customer_present,
    _a.checkout_id,
    _k.status.label("checkout_status"),
    _c.masked.label("card_masked"),
    *INTENT_COLUMNS,
)


def authentication_select() -> Select[Any]:
    """Authentications with the intent that binds the card. The caller adds `WHERE authentications.merchant_id = …`."""
    its_intent = and_(
        _i.merchant_id == _a.merchant_id,
        _i.object_id == _a.authentication_id,
        _i.verb == said(Verb.AUTHENTICATE),
        _i.ordinal == func.coalesce(_a.intent_ordinal, literal_column("1")),
    )
    its_card = and_(_c.merchant_id == _a.merchant_id, _c.card_id == _a.card_id)
    its_checkout = and_(_k.merchant_id == _a.merchant_id, _k.checkout_id == _a.checkout_id)
    joined = authentications.outerjoin(intents, its_intent).join(cards, its_card).outerjoin(checkouts, its_checkout)
    return select(*AUTHENTICATION_COLUMNS).select_from(joined)


_BY_ID = compiled(
    authentication_select().where(
        _a.merchant_id == bindparam("merchant"), _a.authentication_id == any_(bindparam("ids", type_=ARRAY(Uuid)))
    )
)


async def authentications_by_id(
    connection: Connection, merchant_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, Authentication]:
    """Some of a merchant's authentications, by id."""
    rows = await connection.fetch(_BY_ID, merchant_id, list(ids))
    return {row["authentication_id"]: authentication_of(row) for row in rows}


def authentication_of(row: Mapping[str, Any]) -> Authentication:
    """The authentication of a row of `authentication_select()`."""
    return Authentication(
        merchant_id=row["merchant_id"],
        authentication_id=row["authentication_id"],
        payment_id=row["payment_id"],
        user_id=row["user_id"],
        card_id=row["card_id"],
        bank=row["bank"],
        channel=row["channel"],
        account=row["account"],
        status=Status(row["status"]),
        fee=row["fee"],
        failure=failure_of(row),
        contradicts=row["contradicts"],
        intent=intent_of(row, row["authentication_id"], Verb.AUTHENTICATE) if row["intent_id"] is not None else None,
        due_at=row["due_at"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        asked=asked_from_json(json_of(row["asked"])) if row["asked"] is not None else None,
        until_at=row["until_at"],
        closed_reason=ClosedReason(row["closed_reason"]) if row["closed_reason"] is not None else None,
        app=row["app"],
        merchant_order_no=row["merchant_order_no"],
        card_masked=row["card_masked"],
        sequence=row["sequence"] or 0,
        expires_in_s=row["expires_in_s"],
        customer_present=row["customer_present"] is not False,
        metadata=json_of(row["metadata"]) if row["metadata"] is not None else {},
        checkout=checkout_ref(row),
    )


def insert_authentications(write: Write, started: Sequence[Authentication], *, only: str | None = None) -> None:
    """Insert authentications; with `only`, those whose payment that part returned."""
    silent = [_row(each) for each in started if each.asked is None]
    of_these = (only, "payment_id") if only else None
    write.insert(authentications, silent, only=of_these)
    asking = [_row(each) | _asking(each) for each in started if each.asked is not None]
    write.insert(authentications, asking, only=of_these, part="new_signings")


def insert_own_authentications(write: Write, started: Sequence[Authentication], *, only: str) -> None:
    """Insert authentications that an app asked for, whose order the part `only` returned."""
    rows = [
        _row(each)
        | _asking(each)
        | failure_columns(each.failure)
        | {
            "finished_at": each.finished_at,
            "app": each.app,
            "merchant_order_no": each.merchant_order_no,
            "metadata": each.metadata,
            "customer_present": each.customer_present,
            "checkout_id": each.checkout.checkout_id if each.checkout else None,
        }
        for each in started
    ]
    write.insert(authentications, rows, only=(only, "authentication_id"), part="new_own_authentications")


def change_authentications(write: Write, changed: Sequence[Authentication]) -> None:
    """Write what became of authentications."""
    silent = [_changing(each) for each in changed if not _asks(each)]
    write.update(authentications, silent, by=["authentication_id"], also=FREES_ITS_LEASE)
    asking = [_changing(each) | _asking(each) | {"payment_id": each.payment_id} for each in changed if _asks(each)]
    write.update(authentications, asking, by=["authentication_id"], also=FREES_ITS_LEASE, part="changed_signings")


def _asks(authentication: Authentication) -> bool:
    return authentication.asked is not None or authentication.is_told


def _asking(authentication: Authentication) -> Row:
    return {
        "asked": asked_to_json(authentication.asked) if authentication.asked else None,
        "until_at": authentication.until_at,
        "closed_reason": authentication.closed_reason,
        "intent_ordinal": authentication.intent.ordinal if authentication.intent else None,
        "sequence": authentication.sequence,
        "expires_in_s": authentication.expires_in_s,
    }


def _row(authentication: Authentication) -> Row:
    return {
        "authentication_id": authentication.authentication_id,
        "payment_id": authentication.payment_id,
        "user_id": authentication.user_id,
        "card_id": authentication.card_id,
        "bank": authentication.bank,
        "account": authentication.account,
        "channel": authentication.channel,
        "status": authentication.status,
        "fee": authentication.fee,
        "contradicts": authentication.contradicts,
        "due_at": authentication.due_at,
        "created_at": authentication.created_at,
    }


def _changing(authentication: Authentication) -> Row:
    return {
        "authentication_id": authentication.authentication_id,
        "status": authentication.status,
        **failure_columns(authentication.failure),
        "contradicts": authentication.contradicts,
        "due_at": authentication.due_at,
        "finished_at": authentication.finished_at,
    }
