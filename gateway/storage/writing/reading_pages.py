"""Read the page of a flush: the objects that its observations are about, under the lock of their users.

Most flushes are about payments alone and read them in one statement; each other noun that occurs adds one.
"""

from collections.abc import Collection, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import Uuid, and_, any_, bindparam, literal_column, or_
from sqlalchemy.dialects.postgresql import ARRAY

from gateway.domain.checkouts import CheckoutLimits
from gateway.domain.failures import IDENTITY_REFUSALS
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Declined, Returned, SmsNeeded, Succeeded
from gateway.domain.payments import Payment
from gateway.domain.statuses import FINAL
from gateway.ports import GoOn, Observation, PayerAct
from gateway.storage.server.database import Connection
from gateway.storage.tables import cards as cards_table
from gateway.storage.tables import payments as payments_table
from gateway.storage.writing.authentications import authentications_by_id
from gateway.storage.writing.cards import CardRow, agreements_go_to, card_rows
from gateway.storage.writing.checking_out import read_checkouts
from gateway.storage.writing.codes import read_phones, read_sms
from gateway.storage.writing.observations import read_known_anomalies
from gateway.storage.writing.page import Page
from gateway.storage.writing.payments import compiled, payment_of, payment_select
from gateway.storage.writing.refunds import refunds_by_id

__all__ = ["READ_PAYMENTS", "READ_PAYMENTS_AND_WAITING", "Item", "read_page"]

Item = Observation | GoOn | PayerAct

_p, _c = payments_table.c, cards_table.c

_SELECT = payment_select().add_columns(
    _c.data_key, _c.same_as, _c.erased_at, _c.number_print, _c.created_at.label("card_created_at")
)
_MINE = _p.merchant_id == bindparam("merchant")
_NAMED = _p.payment_id == any_(bindparam("ids", type_=ARRAY(Uuid)))
_WAITING = and_(
    _p.authentication_id == any_(bindparam("authentications", type_=ARRAY(Uuid))),
    _p.status.in_([literal_column("'processing'"), literal_column("'requires_action'")]),
)
READ_PAYMENTS = compiled(_SELECT.where(_MINE, _NAMED))
READ_PAYMENTS_AND_WAITING = compiled(_SELECT.where(_MINE, or_(_NAMED, _WAITING)))

READ_AGREEMENTS = """
SELECT card_id, account, agreement_no FROM agreements
WHERE merchant_id = $1 AND card_id = ANY($2::uuid[]) AND status = 'active'
"""
READ_IN_FLIGHT = """
SELECT card_id, account, authentication_id, asked IS NOT NULL FROM authentications
WHERE merchant_id = $1 AND card_id = ANY($2::uuid[]) AND status IN ('processing', 'requires_action')
"""
READ_VERIFIERS = "SELECT card_id, account FROM agreements WHERE merchant_id = $1 AND card_id = ANY($2::uuid[])"


async def read_page(
    connection: Connection, merchant_id: UUID, items: Sequence[Item], day: date, limits: CheckoutLimits
) -> Page:
    """What the items are about. `day`: the business day, by which SMS are counted."""
    heard = [item for item in items if isinstance(item, Observation)]
    about = {verb: [each.intent.object_id for each in heard if each.intent.verb is verb] for verb in Verb}
    acts = [item for item in items if isinstance(item, PayerAct)]
    acted = {kind: [act.object_id for act in acts if act.object is kind] for kind in ObjectKind}
    going_on = [item.payment_id for item in items if isinstance(item, GoOn)] + acted[ObjectKind.PAYMENT]
    page = Page(day, limits)
    authentications = about[Verb.AUTHENTICATE] + about[Verb.SEND_SIGNING_CODE] + acted[ObjectKind.AUTHENTICATION]
    if authentications:
        page.authentications = await authentications_by_id(connection, merchant_id, authentications)
    if about[Verb.REFUND]:
        page.refunds = await refunds_by_id(connection, merchant_id, about[Verb.REFUND])
    starters = [each.payment_id for each in page.authentications.values() if each.payment_id is not None]
    named = [*about[Verb.PAY], *about[Verb.SEND_PAYMENT_CODE], *going_on, *starters]
    found_cards, same_as = await _read_payments(connection, merchant_id, page, named)
    if going_on:
        waited_for = {page.payments[each].authentication_id for each in going_on if each in page.payments}
        missing = [each for each in waited_for if each is not None and each not in page.authentications]
        page.authentications |= await authentications_by_id(connection, merchant_id, missing)
    await _read_keepers(connection, merchant_id, page, found_cards, same_as)
    if going_on:
        goers = [page.payments[each].card for each in going_on if each in page.payments]
        heads = [page.keepers[card.card_id].card_id for card in goers if card is not None]
        rows = await connection.fetch(READ_AGREEMENTS, merchant_id, heads)
        page.sealed = {(row[0], row[1]): bytes(row[2]) for row in rows}
        await _read_in_flight(connection, merchant_id, page, items)
    await _read_codes(connection, merchant_id, page, items)
    await read_checkouts(connection, merchant_id, page)
    suspicious = [each.intent.object_id for each in heard if _may_contradict(page, each)]
    if suspicious or page.checkouts:
        suspicious += page.checkouts
        page.anomalies_known = await read_known_anomalies(connection, merchant_id, suspicious)
    await _read_verifiers(connection, merchant_id, page, heard)
    return page


async def _read_codes(connection: Connection, merchant_id: UUID, page: Page, items: Sequence[Item]) -> None:
    """What asking for an SMS needs, where one may be asked for, and submitting a code, where one may be."""
    heard = [item for item in items if isinstance(item, Observation)]
    asking = {each.card.card_id for each in page.payments.values() if each.asked is not None and each.card is not None}
    asking |= {each.card_id for each in page.authentications.values() if each.asked is not None}
    asking |= {each.card.card_id for each in _leaving(page, items) if each.card is not None and each.customer_present}
    asking |= {
        page.authentications[each.intent.object_id].card_id
        for each in heard
        if isinstance(each.outcome, SmsNeeded) and each.intent.object_id in page.authentications
    }
    if asking:
        page.phones = await read_phones(connection, merchant_id, asking, page.day)
    if any(isinstance(item, PayerAct) for item in items):
        objects = [*page.payments, *page.authentications]
    elif len(heard) < len(items) or any(each.intent.verb is Verb.AUTHENTICATE for each in heard):
        # What goes on: an SMS that is being sent may have been asked for by an earlier try of this flush.
        objects = [key for key, each in page.payments.items() if each.asked is not None and each.asked.sending]
        objects += [key for key, each in page.authentications.items() if each.asked is not None and each.asked.sending]
    else:
        return
    if objects:
        page.known_sms = await read_sms(connection, merchant_id, objects)


async def _read_payments(
    connection: Connection, merchant_id: UUID, page: Page, ids: Sequence[UUID]
) -> tuple[dict[UUID, CardRow], dict[UUID, UUID | None]]:
    """The payments, with those that wait for the page's authentications; their cards; what those are the same as."""
    if page.authentications:
        waited_for = list(page.authentications)
        rows = await connection.fetch(READ_PAYMENTS_AND_WAITING, merchant_id, list(ids), waited_for)
    elif ids:
        rows = await connection.fetch(READ_PAYMENTS, merchant_id, list(ids))
    else:
        return {}, {}
    page.payments = {row["payment_id"]: payment_of(row) for row in rows}
    of_cards = [row for row in rows if row["card_id"] is not None]
    page.number_prints = {row["card_id"]: row["number_print"] for row in of_cards if row["number_print"] is not None}
    found = {
        row["card_id"]: CardRow(
            row["card_id"], row["data_key"], row["card_created_at"], erased=row["erased_at"] is not None
        )
        for row in of_cards
    }
    return found, {row["card_id"]: row["same_as"] for row in of_cards}


async def _read_keepers(
    connection: Connection,
    merchant_id: UUID,
    page: Page,
    found: dict[UUID, CardRow],
    same_as: dict[UUID, UUID | None],
) -> None:
    """Where the agreements of the page's cards stand. An authentication may have outlived its payment's wait."""
    missing = {each.card_id for each in page.authentications.values()} - found.keys()
    if missing:
        rows, more = await card_rows(connection, merchant_id, missing)
        found, same_as = found | rows, same_as | more
    page.keepers = await agreements_go_to(connection, merchant_id, same_as, found)


def _leaving(page: Page, items: Sequence[Item]) -> list[Payment]:
    """The payments that stood in line, and have their place now or are too late."""
    going = (page.payments.get(item.payment_id) for item in items if isinstance(item, GoOn))
    return [payment for payment in going if payment is not None and payment.waits_for_place]


async def _read_in_flight(connection: Connection, merchant_id: UUID, page: Page, items: Sequence[Item]) -> None:
    """For which cards of payments that stood in line an authentication is in flight."""
    cards = [each.card.card_id for each in _leaving(page, items) if each.card is not None]
    if cards:
        heads = {each: page.keepers[each].card_id for each in cards}
        of_head = {**heads, **{head: head for head in heads.values()}}
        rows = await connection.fetch(READ_IN_FLIGHT, merchant_id, list(of_head))
        for card_id, account, authentication_id, is_asked in rows:
            if is_asked:
                page.signs(of_head[card_id], account)
            else:
                page.in_flight[of_head[card_id], account] = authentication_id


async def _read_verifiers(
    connection: Connection, merchant_id: UUID, page: Page, heard: Collection[Observation]
) -> None:
    """For which authentications that are refused another account has verified the card; the same of payments."""
    refused = [each.intent.object_id for each in heard if _may_be_refused(each)]
    asked = [page.authentications[each] for each in refused if each in page.authentications]
    payments = [page.payments[each.intent.object_id] for each in heard if _may_disagree(page, each)]
    doubted = {payment.card.card_id for payment in payments if payment.card is not None}
    keepers = {card_id: page.keepers[card_id].card_id for card_id in doubted | {each.card_id for each in asked}}
    if not keepers:
        return
    accounts: dict[UUID, set[str]] = {}
    for card_id, account in await connection.fetch(READ_VERIFIERS, merchant_id, list(set(keepers.values()))):
        accounts.setdefault(card_id, set()).add(account)
    page.verified_elsewhere = {
        (each.card_id, each.account) for each in asked if accounts.get(keepers[each.card_id], set()) - {each.account}
    }
    page.verified_cards = {card_id for card_id in doubted if keepers[card_id] in accounts}


def _may_disagree(page: Page, heard: Observation) -> bool:
    """Whether a payment is refused for what an authentication verifies."""
    outcome = heard.outcome
    refused = isinstance(outcome, Declined) and outcome.code in IDENTITY_REFUSALS
    return refused and heard.intent.verb is Verb.PAY and heard.intent.object_id in page.payments


def _may_be_refused(heard: Observation) -> bool:
    binds = heard.intent.verb in {Verb.AUTHENTICATE, Verb.SEND_SIGNING_CODE}
    return binds and isinstance(heard.outcome, Declined | SmsNeeded)


def _may_contradict(page: Page, heard: Observation) -> bool:
    """Whether an observation could be an anomaly: only then are the known ones read."""
    about = page.payments.get(heard.intent.object_id) or page.refunds.get(heard.intent.object_id)
    if about is None:
        return False  # an authentication: it has none
    if about.status in FINAL:
        return True
    if isinstance(heard.outcome, Returned):
        return True
    if not isinstance(heard.outcome, Succeeded):
        return False
    unsent = heard.intent.verb is Verb.PAY and page.payments[heard.intent.object_id].attempt is None
    return unsent or heard.outcome.amount not in (None, about.amount)
