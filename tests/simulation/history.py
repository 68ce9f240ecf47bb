"""Everything that outsiders can know of one play, read when it is over: the checker sees nothing else."""

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from gateway.storage.reading import doctor
from tests.simulation.asked import Answered, Asked, Opened, Said, Seen, Standing
from tests.simulation.due import OF_USERS
from tests.simulation.play import Play
from tests.simulation.stage import PROVIDERS, PspRequest, Stage

__all__ = ["History", "Row", "history_of"]

Row = dict[str, Any]

LONG = bool(os.environ.get("SLUICE_HUNT_CRASHES"))
_OF_OBJECTS = "SELECT * FROM {table} WHERE merchant_id = $1 AND {column} = ANY($2)"


@dataclass(frozen=True, slots=True)
class History:
    """What was asked, answered, done at the PSPs, told, and written down."""

    asked: dict[str, Asked]
    answered: list[Answered]
    seen: list[Seen]
    said: list[Said]
    """What apps said of recorded routes, in turn."""
    standings: list[Standing]
    """How what counts for limits stood whenever somebody looked, if routes were recorded."""
    rests: bool
    codes_asked: int
    refused_callbacks: list[str]
    """Numbers of the orders that PSPs called back about in vain."""
    forms: list[Opened]
    """What payers' browsers brought to PSPs, in turn."""
    now: datetime
    """When it is over."""
    told: list[bytes]
    """Bodies of notifications, in the order they came."""
    refused_notifications: int
    """How many the receiver did not believe."""
    at_psps: list[Row]
    """Orders in the PSPs' books, each with its `provider`."""
    psp_requests: list[PspRequest]
    sms: list[Row]
    """What the PSPs sent, each with its `provider`."""
    payments: list[Row]
    corrections: list[Row]
    """Payments that take as paid what moved late."""
    refunds: list[Row]
    payouts: list[Row]
    settles: list[Row]
    payout_days: list[Row]
    doctor: list[str]
    """What is wrong in the books, by the program's own examination: in the suite where there were payouts."""
    routes: list[Row]
    checkouts: list[Row]
    authentications: list[Row]
    intents: list[Row]
    usage: list[Row]
    last_attempts: list[Row]
    outflows: list[Row]
    orders: list[Row]
    events: list[Row]
    deliveries: list[Row]
    anomalies: list[Row]
    agreements: list[Row]
    """Of the cards that were authenticated."""
    unbindings: list[Row]

    def ends(self) -> tuple[str, ...]:
        """How everything that was asked for has ended, in the order of asking."""
        rows = [*self.payments, *self.refunds, *self.payouts, *self.routes, *self.checkouts, *self.authentications]
        ends = {row["merchant_order_no"]: row["status"] for row in rows}
        return tuple(str(ends.get(number, "nothing")) for number in self.asked)

    def codes_to_sign(self) -> list[Row]:
        """The SMS with codes for signing."""
        return [row for row in self.sms if row["purpose"] == "sign"]


async def history_of(play: Play) -> History:
    """The history of a play that is over."""
    stage, merchant = play.stage, play.merchant_id

    async def of_users(table: str) -> list[Row]:
        return await stage.rows(OF_USERS.format(table=table), merchant, play.users)

    async def of(table: str, column: str, ids: list[Any]) -> list[Row]:
        return await stage.rows(_OF_OBJECTS.format(table=table, column=column), merchant, ids)

    async def of_merchant(table: str) -> list[Row]:
        return await stage.rows(f"SELECT * FROM {table} WHERE merchant_id = $1", merchant)

    everything, refunds = await of_users("payments"), await of_users("refunds")
    payments = [row for row in everything if row["corrects"] is None]
    corrections = [row for row in everything if row["corrects"] is not None]
    payouts = await of_merchant("payouts")
    authentications = await of_users("authentications")
    routes, checkouts = await of_users("routes"), await of_users("checkouts")
    ids = [row["payment_id"] for row in everything] + [row["refund_id"] for row in refunds]
    ids += [row["route_id"] for row in routes] + [row["checkout_id"] for row in checkouts]
    ids += [row["payout_id"] for row in payouts]
    signings = [row["authentication_id"] for row in authentications]
    cards = list({row["card_id"] for row in authentications})
    events = await of("events", "object_id", [*ids, *signings])
    at_psps: list[Row] = []
    sms: list[Row] = []
    for provider in PROVIDERS:
        books = await stage.control("GET", f"{provider}/transactions")
        at_psps += [row | {"provider": provider} for row in books["transactions"]]
        sent = await stage.control("GET", f"{provider}/sms")
        sms += [row | {"provider": provider} for row in sent["sms"]]
    return History(
        asked=play.asked,
        answered=play.answered,
        seen=play.seen,
        said=play.said,
        standings=play.standings,
        rests=play.rests,
        codes_asked=play.codes_asked,
        refused_callbacks=play.refused,
        forms=play.forms,
        now=stage.now,
        told=play.told(),
        refused_notifications=stage.receiver.refused,
        at_psps=at_psps,
        psp_requests=list(stage.psp_requests),
        sms=sms,
        payments=payments,
        corrections=corrections,
        refunds=refunds,
        payouts=payouts,
        settles=await of_merchant("settles"),
        payout_days=await of_merchant("payout_days"),
        doctor=await _examined(stage, merchant) if payouts or LONG else [],
        routes=routes,
        checkouts=checkouts,
        authentications=authentications,
        intents=await of("intents", "object_id", [*ids, *signings]),
        usage=await of_users("channel_usage"),
        last_attempts=await of_users("last_attempts"),
        outflows=await of("outflows", "payment_id", ids),
        orders=await of("orders", "object_id", [*ids, *signings]),
        events=events,
        deliveries=await of("deliveries", "event_id", [row["event_id"] for row in events]),
        anomalies=await of("anomalies", "object_id", ids),
        agreements=await of("agreements", "card_id", cards),
        unbindings=await of("unbindings", "card_id", cards),
    )


async def _examined(stage: Stage, merchant_id: UUID) -> list[str]:
    """What is wrong in the books of this merchant: those of the others are empty, and to look there takes long."""

    async def this_one(*_: object) -> list[UUID]:
        return [merchant_id]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "_merchants", this_one)
        return await doctor.examine(stage.engine, stage.now)
