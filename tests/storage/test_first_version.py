"""A database of the first version, with data in it, under this version: nothing is lost, and nobody is charged twice.

`first_version.sql` is what that version wrote; `first_version.json` tells what is in it. Not tested here: migrations as
such (test_migrations), each way in which cards fall together (test_rewrap).
"""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from aiohttp.test_utils import TestClient, TestServer
from alembic import command
from pydantic import SecretStr

from gateway.domain.cards import CardElements
from gateway.domain.ids import CARD, PAYMENT, read, show
from gateway.domain.one_form import one_form
from gateway.domain.outcomes import Authenticated, Outcome, Succeeded
from gateway.ports import AskAuthentication, AskPayment, Authenticate, Pay
from gateway.run.cards import Rewrapped, rewrap
from gateway.run.keys import keys_of
from gateway.run.wiring import System, system
from gateway.settings import Settings
from gateway.storage.server import migrate
from gateway.storage.server.database import Database
from gateway.storage.writing.claims import KnownChannels
from gateway.storage.writing.due import DueStore
from tests.api.client import Client, Got
from tests.databases import RUN, Server, drop, new_database, own_url
from tests.e2e.waiting import until
from tests.keys import ORDER_KEY, key
from tests.unit.flows.ports_in_memory import FakeProvider

HERE = Path(__file__).parent
Shown = dict[str, Any]

MAKE_DUE = "UPDATE payments SET due_at = due_at - interval '1 day', lease_until = NULL WHERE due_at IS NOT NULL"
TWIN, TWINS_AUTHENTICATION, TWINS_NUMBER = (UUID(int=n) for n in (1, 2, 3))
BESIDE = (
    "CREATE TEMPORARY TABLE p AS SELECT * FROM payments WHERE user_id = 'user-wei2'",
    "CREATE TEMPORARY TABLE a AS SELECT a.* FROM attempts a JOIN p USING (payment_id)",
    "CREATE TEMPORARY TABLE t AS SELECT t.* FROM authentications t JOIN p USING (payment_id)",
    f"UPDATE p SET payment_id = '{TWIN}', merchant_order_no = 'fx-twin'",
    f"UPDATE a SET payment_id = '{TWIN}', attempt_id = '{TWINS_NUMBER}', authentication_id = '{TWINS_AUTHENTICATION}'",
    f"UPDATE t SET payment_id = '{TWIN}', authentication_id = '{TWINS_AUTHENTICATION}'",
    "UPDATE t SET created_at = created_at + interval '1 second'",
    "INSERT INTO payments SELECT * FROM p",
    "INSERT INTO attempts SELECT * FROM a",
    "INSERT INTO authentications SELECT * FROM t",
    "UPDATE channel_usage SET reserved = reserved * 2 WHERE user_id = 'user-wei2'",
)
"""A second payment of `user-wei2` with the same card, whose authentication began a second after the first one's."""


@cache
def told() -> Shown:
    """What is in the database."""
    return dict(json.loads((HERE / "first_version.json").read_text(encoding="utf-8")))


def orders(**where: Any) -> list[Shown]:
    return [order for order in told()["orders"] if all(order[name] == value for name, value in where.items())]


@dataclass
class Psp(FakeProvider):
    """A PSP where everything that is asked about was done."""

    agreements: list[str] = field(default_factory=list)

    async def _answer(self, command: Any) -> Any:
        self.asked.append(command)
        if isinstance(command, Authenticate | AskAuthentication):
            return Authenticated(f"late-{command.number[-8:]}")
        assert isinstance(command, Pay | AskPayment)
        outcome: Outcome = Succeeded(command.amount, f"tx-{command.number[-8:]}")
        return outcome


@dataclass
class World:
    """The upgraded database, and gateways on it."""

    url: str
    psp: Psp = field(default_factory=Psp)

    def settings(self, card_keys: str, primary: int | None = None) -> Settings:
        return Settings(
            database_url=self.url, card_keys=SecretStr(card_keys), card_primary=primary, order_key=SecretStr(ORDER_KEY)
        )

    @contextlib.asynccontextmanager
    async def gateway(
        self, card_keys: str = "", primary: int | None = None, *, workers: bool = False
    ) -> AsyncIterator[tuple[System, Client]]:
        settings = self.settings(card_keys or told()["card_keys"], primary)
        async with system(settings, workers=workers, api=True, build_provider=lambda _, __: self.psp) as running:
            assert running.app is not None
            async with TestClient(TestServer(running.app)) as http:
                yield running, Client(http)

    async def rewrap(self) -> Rewrapped:
        return await rewrap(self.url, self.settings(told()["card_keys"], 2), lambda _, __: None)

    @contextlib.asynccontextmanager
    async def cards(self, card_keys: str = "", primary: int | None = None) -> AsyncIterator[DueStore]:
        database = Database(self.url, 2)
        try:
            keys = keys_of(self.settings(card_keys or told()["card_keys"], primary))
            yield DueStore(database, keys, KnownChannels(lambda merchant_id: ()))
        finally:
            await database.close()

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()


async def upgraded(url: str, *more: str) -> World:
    """The first version's database, upgraded; with more that it could have written."""
    async with migrate._alone(url) as connection:
        await migrate._run(connection, lambda found: command.upgrade(migrate._config(found), "0001"))
    loading = await asyncpg.connect(url.replace("+asyncpg", ""))
    await loading.execute((HERE / "first_version.sql").read_text(encoding="utf-8"))
    for statement in more:
        await loading.execute(statement)
    await loading.close()
    assert (await migrate.upgrade(url)).before == "0001"
    assert await migrate.differences(url) == []
    return World(url)


@pytest.fixture(scope="module")
async def upgraded_once(postgres: Server) -> AsyncIterator[str]:
    """The name of a database of the first version, upgraded: what each test has a copy of."""
    name = "first_version"
    url = await new_database(postgres, name)
    await upgraded(url)
    yield f"{RUN}_{name}"
    await drop(postgres, url)


@pytest.fixture
async def world(postgres: Server, upgraded_once: str) -> AsyncIterator[World]:
    """The first version's database, upgraded."""
    async with own_url(postgres, upgraded_once) as url:
        yield World(url)


def is_authenticating(order: Shown) -> bool:
    return bool(order["open"]["stage"] == "authenticating")


async def sent_again(client: Client, order: Shown, **changes: Any) -> Got:
    """An order as it came, byte for byte, or with other content."""
    body = order["body"].encode()
    if changes:
        body = json.dumps(json.loads(body) | changes).encode()
    json_type = {"Content-Type": "application/json"}
    return await client.send("POST", order["path"], body, key=order["api_key"], headers=json_type)


async def all_replay(client: Client) -> None:
    for order in orders():
        got = await sent_again(client, order)
        assert (got.status, got.headers.get("Idempotent-Replayed")) == (200, "true"), (order["special"], got.body)
        assert got.json["id"] == order["payment"]


# --- before the rewrap ---


async def test_every_order_of_the_first_version_replays(world: World) -> None:
    async with world.gateway() as (running, client):
        await all_replay(client)
        first = orders()[0]
        for change in ({"amount": first["amount"] + 1}, {"description": "another"}, {"user_id": "user-qian"}):
            assert (await sent_again(client, first, **change)).status == 409
        # An authentication that is in flight is due beside the payment that waits for it.
        authenticating = [order for order in orders(status="processing") if is_authenticating(order)]
        assert len(await running.doctor()) == len(told()["doctor"]["a_day_later"]) + len(authenticating)
    assert world.psp.asked == []


async def test_every_card_opens_as_it_was_typed_and_is_sent_in_one_form(world: World) -> None:
    merchants = {merchant["merchant"]: merchant["merchant_id"] for merchant in told()["merchants"]}
    async with world.cards() as cards:
        for card in told()["cards"]:
            merchant_id, card_id = read_uuid(merchants[card["merchant"]]), read(CARD, card["card"])
            typed = CardElements(**card["typed"])
            typed = replace(typed, id_no=typed.id_no.upper())  # as the first version did
            assert await cards.card(merchant_id, card_id) == typed
            stored = await cards.find_card(merchant_id, card["user_id"], card_id)
            assert stored is not None
            assert stored.elements == one_form(typed)
            for agreement in card["agreements"]:
                expected = agreement["agreement_no"] if agreement["status"] == "active" else None
                assert await cards.agreement_no(merchant_id, card_id, agreement["account"]) == expected


async def test_a_card_that_is_typed_again_is_found_and_pays_with_its_agreement(world: World) -> None:
    async with world.gateway() as (_, client):
        for card in told()["cards"]:
            if card["merchant"] != "loans" or card["user_id"] in told()["same_card_typed_differently"]:
                continue
            body = {"merchant_order_no": f"again-{card['card']}", "scene": "withhold", "user_id": card["user_id"],
                    "amount": 1000, "currency": "CNY", "card": card["typed"], "bank": card["bank"]}  # fmt: skip
            got = await client.post("/v1/withholds", body, key="sk_test_fixture_shop")
            assert (got.status, got.json["card"]["id"]) == (201, card["card"])
    assert await world.rows("SELECT count(*) FROM cards") == [(len(told()["cards"]),)]


async def test_what_is_open_is_asked_about_by_the_numbers_and_times_that_it_had(world: World) -> None:
    for order in orders(status="processing"):
        is_open, payment_id = order["open"], read(PAYMENT, order["payment"])
        sent = await world.rows(
            "SELECT number, questions, acknowledged, not_found, told_at = recorded_at, state, amount FROM intents"
            " WHERE object_id = $1",
            payment_id,
        )
        (row,) = await world.rows(
            "SELECT p.channel_order_no, p.account, p.due_at, p.lease_until, i.number, i.amount, t.due_at"
            " FROM payments p LEFT JOIN authentications t USING (authentication_id)"
            " LEFT JOIN intents i ON i.object_id = t.authentication_id WHERE p.payment_id = $1",
            payment_id,
        )
        due_at, lease_until = (at and datetime.fromisoformat(at) for at in (is_open["due_at"], is_open["lease_until"]))
        assert row[:4] == (is_open["number_at_psp"], order["account"], due_at, lease_until)
        if is_authenticating(order):
            assert sent == []
            assert row[4:] == (is_open["authentication_number_at_psp"], None, due_at)
        else:
            asked = (is_open["polls"], is_open["acknowledged"], is_open["not_found"])
            assert sent == [(is_open["number_at_psp"], *asked, True, "open", order["amount"])]


async def test_what_the_router_counted_with_is_the_expected_fee_and_the_fee_where_the_money_moved(
    world: World,
) -> None:
    rows = await world.rows("SELECT payment_id, expected_fee, fee FROM payments")
    fees = {payment_id: (expected, fee) for payment_id, expected, fee in rows}
    late = {row[0] for row in await world.rows("SELECT object_id FROM intents WHERE late_success")}
    assert late
    for order in orders():
        payment_id = read(PAYMENT, order["payment"])
        moved = order["status"] == "succeeded" or payment_id in late
        assert fees[payment_id] == (order["fee"], order["fee"] if moved else None), order["special"]


async def test_last_attempts_name_payments_and_none_is_our_own_fault(world: World) -> None:
    last: dict[tuple[str, str, str], Any] = {}
    for order in orders():
        blame = (order["failure"] or {}).get("blame")
        if order["status"] == "processing" or order["channel"] is None or blame == "platform":
            continue
        payment_id = read(PAYMENT, order["payment"])
        (finished_at,) = (await world.rows("SELECT finished_at FROM payments WHERE payment_id = $1", payment_id))[0]
        key = (order["merchant"], order["user_id"], order["channel"])
        last[key] = max(last.get(key, (finished_at,)), (finished_at, payment_id, order["status"], blame))
    rows = await world.rows(
        "SELECT m.code, l.user_id, l.channel, l.finished_at, l.payment_id, l.status, l.blame"
        " FROM last_attempts l JOIN merchants m USING (merchant_id)"
    )
    assert {row[:3]: row[3:] for row in rows} == last


async def test_observations_and_anomalies_name_objects(world: World) -> None:
    said = await world.rows("SELECT DISTINCT says FROM observations WHERE verb = 'authenticate'")
    assert {"authenticated", "declined", "not_found"} <= {row[0] for row in said}
    assert not await world.rows("SELECT says FROM observations WHERE says LIKE 'authentication%'")
    assert not await world.rows(
        "SELECT 1 FROM observations o WHERE NOT EXISTS"
        " (SELECT FROM intents i WHERE i.object_id = o.object_id AND i.verb = o.verb)"
    )
    kinds = await world.rows(
        "SELECT a.object, a.kind FROM anomalies a JOIN payments p ON p.payment_id = a.object_id ORDER BY a.kind"
    )
    assert len(kinds) == (await world.rows("SELECT count(*) FROM anomalies"))[0][0] > 0
    assert {kind for kind, _ in kinds} == {"payment"}


async def test_open_payments_go_on_to_their_end_and_are_told(world: World) -> None:
    open_ones = orders(status="processing")
    assert len(open_ones) == 8
    await world.rows(MAKE_DUE)
    await world.rows(MAKE_DUE.replace("payments", "authentications"))
    async with world.gateway(workers=True) as (running, client):
        for order in open_ones:

            async def ended(order: Shown = order) -> Shown | None:
                got = await client.get(f"/v1/payments/{order['payment']}", key=order["api_key"])
                return dict(got.json) if got.json["status"] == "succeeded" else None

            await until(ended, f"the end of {order['special']}")
            (event,) = (await client.get(f"/v1/events?object_id={order['payment']}", key=order["api_key"])).json["data"]
            assert event["type"] == "payment.succeeded"
        assert not [sentence for sentence in await running.doctor() if "delivery" not in sentence]
    authenticating = [order["open"] for order in open_ones if is_authenticating(order)]
    numbers = {its["number_at_psp"] for its in authenticating}
    asked = sorted(command.number for command in world.psp.got(AskAuthentication))
    assert asked == sorted(its["authentication_number_at_psp"] for its in authenticating)
    assert sorted(command.number for command in world.psp.got(Pay)) == sorted(numbers)
    assert world.psp.got(Authenticate) == []
    paying = {order["open"]["number_at_psp"] for order in open_ones} - numbers
    assert {command.number for command in world.psp.got(AskPayment)} == paying


async def test_of_two_authentications_of_one_card_the_oldest_stays_and_both_payments_are_made(
    empty_database_url: str,
) -> None:
    (older,) = orders(user_id="user-wei2", status="processing")
    world = await upgraded(empty_database_url, *BESIDE)
    waits = await world.rows("SELECT count(DISTINCT authentication_id) FROM payments WHERE user_id = 'user-wei2'")
    assert waits == [(1,)]
    assert await world.rows(
        "SELECT t.status, t.failure_code, i.state, t.due_at - t.created_at = interval '1 hour', p.authentication_fee"
        " FROM authentications t JOIN intents i ON i.object_id = t.authentication_id"
        " JOIN payments p USING (payment_id) WHERE t.authentication_id = $1",
        TWINS_AUTHENTICATION,
    ) == [("failed", "authentication_unknown", "unknown", True, 100)]
    await world.rows(MAKE_DUE)
    await world.rows(MAKE_DUE.replace("payments", "authentications"))
    async with world.gateway(workers=True) as (running, client):
        for payment in (older["payment"], show(PAYMENT, TWIN)):

            async def ended(payment: str = payment) -> Shown | None:
                got = await client.get(f"/v1/payments/{payment}", key=older["api_key"])
                return dict(got.json) if got.json["status"] == "succeeded" else None

            await until(ended, "the end of both")

        async def looked_at() -> bool | None:
            due = "SELECT due_at FROM authentications WHERE authentication_id = $1"
            return (await world.rows(due, TWINS_AUTHENTICATION)) == [(None,)] or None

        await until(looked_at, "a look at the one that was given up")
        assert not [sentence for sentence in await running.doctor() if "delivery" not in sentence]
    asked = [command.number for command in world.psp.got(AskAuthentication)]
    assert older["open"]["authentication_number_at_psp"] in asked
    assert TWINS_AUTHENTICATION.hex in asked
    assert len([command for command in world.psp.got(Pay) if command.number == TWINS_NUMBER.hex]) == 1
    assert world.psp.got(Authenticate) == []


async def test_old_events_are_delivered_again_or_held_where_their_endpoint_is_stopped(world: World) -> None:
    stopped = {e["code"] for m in told()["merchants"] for e in m["endpoints"] if e["stopped_because"]}
    keys = {app: api_key for merchant in told()["merchants"] for app, api_key in merchant["apps"].items()}
    async with world.gateway() as (_, client):
        for event in told()["events"]:
            if event["app"] is None:
                continue
            got = await client.post(f"/v1/events/{event['event']}/redeliver", key=keys[event["app"]])
            if event["deliveries"] and {each["endpoint"] for each in event["deliveries"]} <= stopped:
                assert (got.status, got.problem_with("held")["held"]) == (409, len(event["deliveries"]))
            else:
                assert got.status == 202, got.body
                assert got.json["deliveries"] + got.json["held"] == len(event["deliveries"])


# --- the rewrap, and after it ---


async def test_after_the_rewrap_the_new_key_alone_is_enough(world: World) -> None:
    done = await world.rewrap()
    assert done.complete
    assert (done.cards, done.together) == (len(told()["cards"]), 4)
    assert [line for line in done.lines() if line.startswith("key 1: nothing is under it, it can leave the ring")]
    assert done.use[1].order_hashes == len(orders(hash_version=1))
    merchants = {merchant["merchant"]: read_uuid(merchant["merchant_id"]) for merchant in told()["merchants"]}
    async with world.cards(f"2:{key(2)}") as cards:
        for card in told()["cards"]:
            opened = await cards.card(merchants[card["merchant"]], read(CARD, card["card"]))
            assert opened == one_form(CardElements(**card["typed"]))
    async with world.gateway(f"2:{key(2)}") as (running, client):
        await all_replay(client)
        assert not [sentence for sentence in await running.doctor() if "card" in sentence]


async def test_without_the_key_of_its_hash_an_order_is_compared_by_what_its_payment_says(world: World) -> None:
    await world.rewrap()
    async with world.gateway(f"2:{key(2)}") as (_, client):
        for order in orders(hash_version=1)[:12]:
            typed = json.loads(order["body"])
            other_card = {} if "card" not in typed else {"card": typed["card"] | {"phone": "13999999999"}}
            same = await sent_again(client, order, description="another", metadata={"a": 1}, **other_card)
            assert (same.status, same.json["id"]) == (200, order["payment"])
            assert (await sent_again(client, order, amount=order["amount"] + 1)).status == 409
        gone = next(order for order in orders(hash_version=1) if "card" in json.loads(order["body"]))
        assert (await sent_again(client, gone, user_id="somebody-else")).status == 409
        kept = orders(hash_version=2)[0]
        assert (await sent_again(client, kept, description="another")).status == 409


async def test_users_with_one_card_typed_in_two_ways_have_one_card_from_then_on(world: World) -> None:
    await world.rewrap()
    async with world.gateway(primary=2) as (running, client):
        for user_id, cards in told()["same_card_typed_differently"].items():
            live = [card for card in cards if card["has_live_agreement"]]
            winner = (live or cards)[0]["card"]
            typed = {card["card"]: card["typed"] for card in told()["cards"]}
            for number, asked in enumerate(
                [*({"card": typed[card["card"]]} for card in cards), *({"card_id": card["card"]} for card in cards)]
            ):
                body = {"merchant_order_no": f"{user_id}-{number}", "scene": "withhold", "user_id": user_id,
                        "amount": 1000, "currency": "CNY", "bank": "ICBC", **asked}  # fmt: skip
                got = await client.post("/v1/withholds", body, key="sk_test_fixture_shop")
                assert (got.status, got.json["card"]["id"]) == (201, winner), (user_id, asked)
        assert not [sentence for sentence in await running.doctor() if "card" in sentence]
    assert await world.rows("SELECT count(*) FROM cards") == [(len(told()["cards"]),)]


async def test_an_authentication_in_flight_on_the_card_that_loses_ends_on_the_one_that_is_found(world: World) -> None:
    (order,) = orders(user_id="user-memet", status="processing")
    older, younger = (card["card"] for card in told()["same_card_typed_differently"]["user-memet"])
    assert order["card"] == older
    await world.rewrap()
    await world.rows(MAKE_DUE)
    await world.rows(MAKE_DUE.replace("payments", "authentications"))
    async with world.gateway(primary=2, workers=True) as (_, client):

        async def ended() -> bool | None:
            got = await client.get(f"/v1/payments/{order['payment']}", key=order["api_key"])
            assert got.json["card"]["id"] == older
            return got.json["status"] == "succeeded" or None

        await until(ended, "the end of the payment")
    assert await world.rows("SELECT account, status FROM agreements WHERE card_id = $1", read(CARD, younger)) == [
        ("unionpay_main", "active")
    ]
    assert await world.rows("SELECT 1 FROM agreements WHERE card_id = $1", read(CARD, older)) == []
    assert (
        await world.rows("SELECT card_id FROM payments WHERE payment_id = $1", read(PAYMENT, order["payment"]))
    ) == [(read(CARD, older),)]


def read_uuid(text: str) -> UUID:
    return UUID(text)
