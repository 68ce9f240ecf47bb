"""Rows of authentications: one select, one reader, and how they are written."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, and_, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from gateway.domain.authentications import Authentication
from gateway.domain.intents import Verb
from gateway.domain.statuses import Status
from gateway.storage.server.database import Connection
from gateway.storage.tables import authentications, intents
from gateway.storage.writing.failures import failure_columns, failure_of
from gateway.storage.writing.intents import INTENT_COLUMNS, intent_of
from gateway.storage.writing.payments import FREES_ITS_LEASE, compiled, said
from gateway.storage.writing.statement import Row, Write

__all__ = [
    "authentication_of",
    "authentication_select",
    "authentications_by_id",
    "change_authentications",
    "insert_authentications",
]

_a, _i = authentications.c, intents.c

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
    *INTENT_COLUMNS,
)


def authentication_select() -> Select[Any]:
    """Authentications with their intent. The caller adds `WHERE authentications.merchant_id = …`, always."""
    its_intent = and_(
        _i.merchant_id == _a.merchant_id,
        _i.object_id == _a.authentication_id,
        _i.verb == said(Verb.AUTHENTICATE),
    )
    return select(*AUTHENTICATION_COLUMNS).select_from(authentications.join(intents, its_intent))


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
        intent=intent_of(row, row["authentication_id"], Verb.AUTHENTICATE),
        due_at=row["due_at"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )


def insert_authentications(write: Write, started: Sequence[Authentication], *, only: str | None = None) -> None:
    """Insert authentications; with `only`, those whose payment that part returned."""
    write.insert(authentications, [_row(each) for each in started], only=(only, "payment_id") if only else None)


def change_authentications(write: Write, changed: Sequence[Authentication]) -> None:
    """Write what became of authentications."""
    rows = [_changing(each) for each in changed]
    write.update(authentications, rows, by=["authentication_id"], also=FREES_ITS_LEASE)


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
