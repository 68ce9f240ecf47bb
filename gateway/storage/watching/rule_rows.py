"""The rows that count for a transaction rule, as SQL: one SELECT for each kind of row, put together.

A key is text: a user, a code, or the print of a number, phone or ID in hex. One finished example, of the rule "five
declines of a user within ten minutes", for the keys that were touched:

    SELECT key, kind, id, at, amount, "user", card FROM (
        SELECT p.user_id AS key, 'payment' AS kind, p.payment_id AS id, p.created_at AS at, p.amount AS amount,
            p.user_id AS "user", CAST(NULL AS text) AS card
        FROM payments p
        WHERE p.merchant_id = :merchant AND p.corrects IS NULL AND p.status = ANY(:statuses)
        AND p.failure_blame = ANY(:failure_blames)
        AND p.payment_id >= :lowest AND p.created_at > :since AND p.created_at <= :until AND p.user_id = ANY(:keys)
    ) AS seen WHERE key IS NOT NULL
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from gateway.domain.transaction_rules import Distinct, RuleKey, RuleKind, TransactionRule

__all__ = ["LIST_BINDS", "PRINTS", "Seen", "ids_from", "keys_bound", "seen"]

ID_CLOCK_MARGIN: Final = timedelta(hours=1)
"""How far an id's time and `created_at` may be apart."""
_UUID_BELOW_TIME_BITS: Final = 80

PRINTS: Final[Mapping[RuleKey, str]] = {
    RuleKey.CARD: "number_print",
    RuleKey.PHONE: "phone_print",
    RuleKey.ID_NO: "id_print",
}
"""The columns of `cards` by which it is gathered."""
LIST_BINDS: Final = ("scenes", "channels", "banks", "apps", "statuses", "failure_blames", "payee_types")

_CARDS: Final = (
    " LEFT JOIN cards c ON c.merchant_id = {of}.merchant_id AND c.user_id = {of}.user_id AND c.card_id = {of}.card_id"
)
# A payout is of who has a card that looks like the account it goes to: the number is sealed, its mask is not. What
# it pays on of collected payments says nothing: that is what such payouts are for.
_WHOSE: Final = " JOIN cards w ON w.merchant_id = o.merchant_id AND w.masked = o.payee_masked"


@dataclass(frozen=True, slots=True)
class _Source:
    """One kind of rows: where it stands, and what of it is what."""

    table: str
    alias: str
    id: str
    joined: str
    columns: Mapping[str, str]
    fixed: str = ""


_SOURCES: Final[Mapping[RuleKind, _Source]] = {
    RuleKind.PAYMENT: _Source(
        "payments", "p", "payment_id", "",
        {"user": "p.user_id", "card_of": "p", "bank": "p.bank", "channel": "p.channel", "app": "p.app",
         "scene": "p.scene", "amount": "p.amount"},
        " AND p.corrects IS NULL",
    ),
    RuleKind.REFUND: _Source(
        "refunds", "r", "refund_id",
        " JOIN payments p ON p.merchant_id = r.merchant_id AND p.payment_id = r.payment_id",
        {"user": "r.user_id", "card_of": "p", "bank": "p.bank", "channel": "coalesce(r.channel, p.channel)",
         "app": "r.app", "scene": "p.scene", "amount": "r.amount"},
    ),
    RuleKind.PAYOUT: _Source(
        "payouts", "o", "payout_id", "",
        {"user": "w.user_id", "card_of": "w", "bank": "o.payee_bank", "channel": "o.channel", "app": "o.app",
         "amount": "o.amount", "payee": "o.payee_bank || ' ' || o.payee_masked", "payee_type": "o.payee_type"},
    ),
    RuleKind.AUTHENTICATION: _Source(
        "authentications", "a", "authentication_id", "",
        {"user": "a.user_id", "card_of": "a", "bank": "a.bank", "channel": "a.channel", "app": "a.app"},
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """A SELECT of rows and what it is given."""

    sql: str
    binds: Mapping[str, Any]


def ids_from(at: datetime) -> UUID:
    """The lowest id of that time."""
    return UUID(int=max(int(at.timestamp() * 1000), 0) << _UUID_BELOW_TIME_BITS)


def keys_bound(rule: TransactionRule, keys: Sequence[str]) -> list[Any]:
    """Keys as their column has them."""
    return [bytes.fromhex(key) for key in keys] if rule.key in PRINTS else list(keys)


def seen(
    merchant_id: UUID, rule: TransactionRule, which: str, binds: Mapping[str, Any], *, keyed: bool = False
) -> Seen:
    """Rows of every kind that fit the filter. `which`: a condition more, in which {id} and {at} stand for the
    row's own; `keyed`: those of the keys in :keys alone."""
    parts = [_select(kind, rule, which, keyed=keyed) for kind in rule.filter.kinds]
    wanted = rule.filter
    given: dict[str, Any] = {"merchant": merchant_id, **binds}
    given |= {name: [str(each) for each in getattr(wanted, name)] for name in LIST_BINDS if getattr(wanted, name)}
    numbers = ("amount_from", "amount_to", "share_of_single_limit")
    given |= {name: getattr(wanted, name) for name in numbers if getattr(wanted, name) is not None}
    joined = "\nUNION ALL\n".join(parts)
    return Seen(f"SELECT * FROM (\n{joined}\n) AS seen WHERE key IS NOT NULL", given)


def _select(kind: RuleKind, rule: TransactionRule, which: str, *, keyed: bool) -> str:
    source = _SOURCES[kind]
    alias, columns = source.alias, source.columns
    by_print, cards = PRINTS.get(rule.key), rule.distinct is Distinct.CARDS
    joined = source.joined
    if kind is RuleKind.PAYOUT and (
        rule.key in {RuleKey.USER, *PRINTS} or rule.distinct in {Distinct.CARDS, Distinct.USERS}
    ):
        joined += _WHOSE
    elif kind is RuleKind.PAYOUT:
        columns = {**columns, "user": "CAST(NULL AS text)"}
    if by_print or cards:
        joined += _CARDS.format(of=columns["card_of"])
    column = f"c.{by_print}" if by_print else columns.get(rule.key.value, "CAST(NULL AS text)")
    key = f"encode({column}, 'hex')" if by_print else column
    card = (
        f"coalesce(encode(c.number_print, 'hex'), CAST({columns['card_of']}.card_id AS text))"
        if cards
        else "CAST(NULL AS text)"
    )
    own = {"id": f"{alias}.{source.id}", "at": f"{alias}.created_at"}
    asked = f"{which.format(**own)}{_filters(kind, rule, alias, columns)}"
    if keyed:
        asked += f" AND {column} = ANY(:keys)"
    return (
        f"SELECT {key} AS key, '{kind.value}' AS kind, {own['id']} AS id, {own['at']} AS at, "
        f'{columns.get("amount", "CAST(0 AS bigint)")} AS amount, {columns["user"]} AS "user", {card} AS card\n'
        f"FROM {source.table} {alias}{joined}\n"
        f"WHERE {alias}.merchant_id = :merchant{source.fixed} AND {asked}"
    )


def _filters(kind: RuleKind, rule: TransactionRule, alias: str, columns: Mapping[str, str]) -> str:
    """What is asked of rows of this kind. What they do not have fits no condition, but scenes: payouts and
    authentications have none and are not asked for one."""
    wanted, asked = rule.filter, list[str]()
    of_column = {"banks": "bank", "channels": "channel", "apps": "app", "scenes": "scene", "payee_types": "payee_type"}
    for name, column in of_column.items():
        if getattr(wanted, name) and not (name == "scenes" and "scene" not in columns):
            asked.append(f"{columns.get(column, 'NULL')} = ANY(:{name})")
    if wanted.statuses:
        asked.append(f"{alias}.status = ANY(:statuses)")
    if wanted.failure_blames:
        asked.append(f"{alias}.failure_blame = ANY(:failure_blames)")
    amount = columns.get("amount")
    if wanted.amount_from is not None:
        asked.append(f"{amount} >= :amount_from" if amount else "false")
    if wanted.amount_to is not None:
        asked.append(f"{amount} <= :amount_to" if amount else "false")
    if wanted.share_of_single_limit is not None:
        assert kind is RuleKind.PAYMENT, "checked by the rule"
        asked.append(_JUST_BELOW)
    return "".join(f" AND {each}" for each in asked)


_JUST_BELOW: Final = """EXISTS (
    SELECT FROM route_rules l WHERE l.merchant_id = p.merchant_id AND l.channel = p.channel AND l.scene = p.scene
    AND l.bank = p.bank AND p.amount <= CAST(l.limits ->> 'single_limit' AS bigint)
    AND p.amount * 100 >= CAST(l.limits ->> 'single_limit' AS bigint) * CAST(:share_of_single_limit AS bigint)
)"""
