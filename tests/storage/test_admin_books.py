"""The admin calls of dead letters, endpoints and anomalies over HTTP, on a real PostgreSQL.

Not here: keys and limits around every call (gateway.api's own tests), and the statements (test_deliveries.py,
test_held.py, test_endpoints.py, test_anomalies.py).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import jsonschema_rs
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from gateway.api.admin import endpoints as endpoints_module
from gateway.api.admin.operators import Operators, operator_routes
from gateway.api.application import Api, build_app
from gateway.domain.alerts import AlertKind, Severity
from gateway.domain.catalogue import AuthenticationMode, Catalogue
from gateway.domain.catalogue_content import (
    AccountContent,
    AppContent,
    CatalogueFile,
    ChannelContent,
    EndpointContent,
    KeyContent,
    MerchantContent,
    key_hash_of,
)
from gateway.domain.ids import ANOMALY, ENDPOINT, EVENT, PAYMENT, REFUND, ObjectKind, show
from gateway.domain.rates import Counted
from gateway.domain.switches import Switch
from gateway.flows.corrections import CorrectionFlow
from gateway.flows.notify import TRIES_MAX
from gateway.objects.times import timestamp
from gateway.settings import Settings
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.catalogue.watch import CatalogueWatch
from gateway.storage.watching.alerts import AlertStore
from gateway.storage.watching.rates import RateStore
from gateway.storage.watching.switches import SwitchStore
from gateway.storage.writing.anomalies import AnomalyStore
from gateway.storage.writing.deliveries import DeliveryStore
from gateway.storage.writing.held import HeldStore
from tests.databases import database_on
from tests.keys import new_keys
from tests.storage.delivery_rows import PAYMENT as THE_PAYMENT
from tests.storage.delivery_rows import delivery, event
from tests.storage.test_anomalies import anomaly

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
KEYS = new_keys()
TOKEN, APP_KEY = "an-operator", "sk_first"
SHOP = MerchantContent(
    code="shop",
    name="商店",
    apps=(AppContent("shop", "Shop", (KeyContent("first", key_hash_of(APP_KEY)),)),),
    accounts=(AccountContent("tl-1", "mock", {}, {}),),
    channels=(ChannelContent("tl", "tl-1", "TL", True, {"*": AuthenticationMode.NONE}),),
    endpoints=(EndpointContent("main", "shop", "https://shop.example.com/a", None, False, ("whsec_hush",)),),
)
BASE = "/v1/admin/merchants/{merchant}"
AT = "/v1/admin/merchants/shop"
WORD = {"note": "refunded by hand, ticket 17", "by": "li"}
DEAD: dict[str, Any] = {
    "status": "dead",
    "tries": TRIES_MAX,
    "due_at": None,
    "last_status": 500,
    "last_error": "answered 500",
}
UNKNOWN = 77
"""An endpoint that the catalogue does not have."""

_document: dict[str, Any] = {}
_validators: dict[tuple[str, str, str], jsonschema_rs.Validator] = {}
"""By path, method and status. Every application here has the same document, and making it takes longer than a test."""


@dataclass(frozen=True)
class Operator:
    """The calls of an operator, each answer held against the document."""

    http: TestClient[Any, Any]
    engine: AsyncEngine
    shop: UUID
    other: UUID
    endpoint: UUID

    async def get(self, path: str, status: int = 200) -> Any:
        return await self._answered("get", path.split("?")[0], await self.http.get(AT + path), status)

    async def post(self, path: str, body: object = None, status: int = 200) -> Any:
        return await self._answered("post", path, await self.http.post(AT + path, json=body), status)

    async def _answered(self, method: str, path: str, response: ClientResponse, status: int) -> Any:
        answer = await response.json()
        assert response.status == status, answer
        parts = path.split("/")
        if len(parts) == 4:
            parts[2] = {"endpoints": "{endpoint}", "channels": "{channel}"}.get(parts[1], "{id}")
        described = (BASE + "/".join(parts), method, str(status))
        if described not in _validators:
            _validators[described] = await self._validator(*described)
        _validators[described].validate(answer)
        return answer

    async def _validator(self, path: str, method: str, status: str) -> jsonschema_rs.Validator:
        if not _document:
            _document.update(await (await self.http.get("/openapi.json")).json())
        (content,) = _document["paths"][path][method]["responses"][status]["content"].values()
        return jsonschema_rs.validator_for({**content["schema"], "components": _document["components"]})


@pytest.fixture
async def operator(engine: AsyncEngine) -> AsyncIterator[Operator]:
    """An operator of an application with two merchants, and with nothing behind its other calls."""
    catalogue = CatalogueStore(engine, KEYS.ring)
    await catalogue.apply(CatalogueFile((SHOP, MerchantContent("other", "Other"))), "test", "a file", NOW)
    watch = CatalogueWatch(catalogue)
    codes = (await watch.refresh_now()).merchants_by_code
    shop, other = codes["shop"].merchant_id, codes["other"].merchant_id
    nothing = cast("Any", None)
    api = Api(
        settings=Settings(admin_token=SecretStr(TOKEN)),
        payments=nothing,
        payer=nothing,
        authentications=nothing,
        shown_cards=nothing,
        unbinding=nothing,
        refunds=nothing,
        payouts=nothing,
        routes=nothing,
        checkouts=nothing,
        cashier=cast("Any", SimpleNamespace(url_of=None)),
        reading=nothing,
        callbacks=nothing,
        cards=nothing,
        redirects=nothing,
        returns=nothing,
        catalogue=lambda: watch.current,
        readiness=nothing,
        metrics=nothing,
        clock=lambda: NOW,
    )
    database = database_on(engine)
    anomalies = AnomalyStore(database)
    alerts = AlertStore(database, uuid7, lambda: watch.current)
    operators = Operators(
        changes=catalogue,
        snapshots=watch,
        offer_of=nothing,
        notes=nothing,
        deliveries=DeliveryStore(database),
        held=HeldStore(database),
        blocks=nothing,
        alerts=alerts,
        rates=RateStore(database),
        switches=SwitchStore(database, alerts),
        anomalies=anomalies,
        corrections=CorrectionFlow(anomalies, nothing, nothing, lambda: NOW, nothing),
        words=nothing,
        payments=nothing,
        recorded_routes=nothing,
        payouts=nothing,
        held_payouts=nothing,
        balances=nothing,
        days=nothing,
        differences=nothing,
        day_runs=nothing,
        taken_fees=nothing,
        reports=nothing,
        transactions=nothing,
        catalogue=lambda: watch.current,
        clock=lambda: NOW,
        new_id=nothing,
        zone=ZoneInfo("Asia/Shanghai"),
    )
    app = build_app(api, operator_routes(operators))
    async with TestClient(TestServer(app), headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        yield Operator(http, engine, shop, other, watch.current.endpoints[shop][0].endpoint_id)


def evt(number: int) -> str:
    return show(EVENT, UUID(int=number))


def ano(number: int) -> str:
    return show(ANOMALY, UUID(int=number))


async def dead_letters(operator: Operator, count: int) -> None:
    for number in range(1, count + 1):
        await event(operator.engine, number, NOW, operator.shop)
        await delivery(operator.engine, number, operator.endpoint.int, operator.shop, **DEAD)


# --- dead letters ---


async def test_a_dead_letter_tells_what_it_was_about_and_how_it_ended(operator: Operator) -> None:
    await dead_letters(operator, 1)
    assert await operator.get("/dead_letters") == {
        "data": [
            {
                "object": "dead_letter",
                "event": evt(1),
                "endpoint": show(ENDPOINT, operator.endpoint),
                "endpoint_code": "main",
                "app": "shop",
                "type": "payment.succeeded",
                "object_id": show(PAYMENT, THE_PAYMENT),
                "sequence": 1,
                "created_at": "2026-03-01T08:00:00.000Z",
                "tries": TRIES_MAX,
                "last_status": 500,
                "last_error": "answered 500",
            }
        ],
        "next": None,
    }


async def test_dead_letters_are_paged_also_within_one_event(operator: Operator) -> None:
    await dead_letters(operator, 2)
    await delivery(operator.engine, 2, UNKNOWN, operator.shop, **DEAD)
    seen, after = [], ""
    for _ in range(3):
        page = await operator.get(f"/dead_letters?limit=1{after}")
        seen += [(letter["event"], letter["endpoint_code"]) for letter in page["data"]]
        after = f"&after={page['next']}"
    assert seen == [(evt(2), "main"), (evt(2), None), (evt(1), "main")]
    assert page["next"] is None


async def test_the_longest_page_has_a_next_one(operator: Operator) -> None:
    await event(operator.engine, 1, NOW, operator.shop)
    for number in range(1, 202):
        await delivery(operator.engine, 1, number, operator.shop, **DEAD)
    page = await operator.get("/dead_letters?limit=200")
    assert len(page["data"]) == 200
    rest = await operator.get(f"/dead_letters?limit=200&after={page['next']}")
    assert (len(rest["data"]), rest["next"]) == (1, None)


async def test_an_event_is_sent_again_to_every_endpoint(operator: Operator) -> None:
    await dead_letters(operator, 2)
    await delivery(
        operator.engine, 1, UNKNOWN, operator.shop, status="delivered", tries=1, due_at=None, delivered_at=NOW
    )
    assert await operator.post(f"/events/{evt(1)}/redeliver", status=202) == {"deliveries": 2, "held": 0}
    due = await DeliveryStore(database_on(operator.engine)).claim(
        operator.shop, NOW, {operator.endpoint: 10, UUID(int=UNKNOWN): 10}, NOW
    )
    assert {(one.event_id.int, one.tries) for one in due} == {(1, 0)}
    assert [letter["event"] for letter in (await operator.get("/dead_letters"))["data"]] == [evt(2)]


async def test_an_event_that_was_for_no_endpoint_is_there_with_no_delivery(operator: Operator) -> None:
    await event(operator.engine, 1, NOW, operator.shop)
    assert await operator.post(f"/events/{evt(1)}/redeliver", status=202) == {"deliveries": 0, "held": 0}


# --- endpoints ---


async def held(operator: Operator, *numbers: int) -> None:
    for number in numbers:
        await event(operator.engine, number, NOW, operator.shop)
        await delivery(operator.engine, number, operator.endpoint.int, operator.shop, status="held", due_at=None)


async def test_endpoints_are_listed_with_what_has_not_reached_them(operator: Operator) -> None:
    running = {
        "object": "endpoint",
        "id": show(ENDPOINT, operator.endpoint),
        "code": "main",
        "app": "shop",
        "url": "https://shop.example.com/a",
        "state": "running",
        "stopped_at": None,
        "stopped_because": None,
        "pending": 0,
        "held": 0,
        "dead": 0,
    }
    assert await operator.get("/endpoints") == {"data": [running]}
    await dead_letters(operator, 2)
    await held(operator, 3)
    await operator.post("/endpoints/main/stop", WORD)
    assert await operator.get("/endpoints") == {
        "data": [
            running
            | {
                "state": "stopped",
                "stopped_at": "2026-03-01T08:00:00.000Z",
                "stopped_because": "li: refunded by hand, ticket 17",
                "held": 1,
                "dead": 2,
            }
        ]
    }


async def test_an_endpoint_is_stopped_and_started_and_the_history_says_who_wanted_it(operator: Operator) -> None:
    stopped = await operator.post("/endpoints/main/stop", WORD)
    assert (await operator.post("/endpoints/main/stop", WORD | {"by": "wang"})) == stopped
    assert (stopped["state"], stopped["stopped_because"]) == ("stopped", "li: refunded by hand, ticket 17")
    started = await operator.post("/endpoints/main/start", WORD | {"note": "they are back"})
    assert (started["state"], started["stopped_at"], started["stopped_because"]) == ("running", None, None)
    history = await CatalogueStore(operator.engine, KEYS.ring).history(2)
    assert [(change.changed_by, change.note) for change in history] == [
        ("li", "endpoint started: they are back"),
        ("li", "endpoint stopped: li: refunded by hand, ticket 17"),
    ]


async def test_what_is_held_is_discarded_in_steps_and_the_answer_says_what_is_left(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints_module, "DISCARDED_AT_ONCE", 2)
    monkeypatch.setattr(endpoints_module, "DISCARDS_PER_CALL", 2)
    await held(operator, 1, 2, 3, 4, 5)
    assert await operator.post("/endpoints/main/discard", WORD) == {"discarded": 4, "held": 1}
    assert await operator.post("/endpoints/main/discard", WORD) == {"discarded": 1, "held": 0}
    assert await operator.post("/endpoints/main/discard", WORD) == {"discarded": 0, "held": 0}


async def test_an_endpoint_that_left_the_file_is_not_started(operator: Operator) -> None:
    await CatalogueStore(operator.engine, KEYS.ring).apply(
        CatalogueFile((replace(SHOP, endpoints=()),)), "test", "without it", NOW
    )
    assert [one["state"] for one in (await operator.get("/endpoints"))["data"]] == ["removed"]
    problem = await operator.post("/endpoints/main/start", WORD, 409)
    assert (problem["code"], "put it back there" in problem["detail"]) == ("catalogue_refused", True)


async def test_an_event_is_sent_again_where_it_can_be_and_held_where_it_cannot(operator: Operator) -> None:
    await dead_letters(operator, 1)
    await delivery(operator.engine, 1, UNKNOWN, operator.shop, **DEAD)
    await operator.post("/endpoints/main/stop", WORD)
    assert await operator.post(f"/events/{evt(1)}/redeliver", status=202) == {"deliveries": 1, "held": 1}


async def test_an_event_is_not_sent_again_when_no_endpoint_of_it_runs(operator: Operator) -> None:
    await held(operator, 1)
    await operator.post("/endpoints/main/stop", WORD)
    problem = await operator.post(f"/events/{evt(1)}/redeliver", status=409)
    assert (problem["code"], problem["held"]) == ("endpoints_stopped", 1)
    await operator.post("/endpoints/main/start", WORD)
    assert await operator.post(f"/events/{evt(1)}/redeliver", status=202) == {"deliveries": 1, "held": 0}


@pytest.mark.parametrize("call", ["stop", "start", "discard"])
@pytest.mark.parametrize(("change", "field"), [({"note": " "}, "note"), ({"by": None}, "by"), ({"at": 1}, "at")])
async def test_a_word_about_an_endpoint_says_who_and_why(
    operator: Operator, call: str, change: dict[str, Any], field: str
) -> None:
    problem = await operator.post(f"/endpoints/main/{call}", WORD | change, 422)
    assert [error["field"] for error in problem["errors"]] == [field]


# --- alerts ---


async def test_an_alert_is_listed_and_acknowledged_once_with_a_note(operator: Operator) -> None:
    store = alerts_on(operator.engine)
    kind, warning = AlertKind.CHANNEL_DEGRADED, Severity.WARNING
    await store.raise_(operator.shop, kind, "payment/icbc/lianlian", warning, {"rate": 0.5}, NOW)
    [alert] = (await operator.get("/alerts?kind=channel_degraded&open=true"))["data"]
    assert (alert["about"], alert["detail"], alert["times"]) == ("payment/icbc/lianlian", {"rate": 0.5}, 1)
    assert (alert["cleared_at"], alert["acknowledged_at"]) == (None, None)
    assert (await operator.get("/alerts?kind=balance_low"))["data"] == []
    assert (await operator.get("/alerts?open=false"))["data"] == []
    seen = await operator.post(f"/alerts/{alert['id']}/acknowledge", WORD)
    assert (seen["acknowledged_by"], seen["note"], seen["cleared_at"]) == ("li", WORD["note"], None)
    problem = await operator.post(f"/alerts/{alert['id']}/acknowledge", WORD | {"by": "wang"}, 409)
    assert problem["code"] == "already_acknowledged"
    await operator.post("/alerts/alr_01h00000000000000000000000/acknowledge", WORD, 404)


# --- what is switched off ---


def alerts_on(engine: AsyncEngine) -> AlertStore:
    """Told to nobody."""
    return AlertStore(database_on(engine), uuid7, lambda: Catalogue(1))


async def test_what_is_switched_off_is_shown_and_ended_by_an_operator(operator: Operator) -> None:
    store, what = (
        SwitchStore(database_on(operator.engine), alerts_on(operator.engine)),
        Counted("*", "*", SHOP.channels[0].code),
    )
    on, body = f"/channels/{what.channel}/switch_on", {"by": "li"}
    assert (await operator.post(on, body, 409))["code"] == "not_switched_off"
    await operator.post("/channels/nowhere/switch_on", body, 404)
    await operator.post(on, {"by": " "}, 422)
    off = Switch(NOW, NOW + timedelta(minutes=5))
    assert await store.keep(operator.shop, what, None, off, {}, NOW)

    async def shown() -> Any:
        health = (await (await operator.http.get("/v1/admin/health/channels")).json())["data"]
        (switch,) = [each["switch"] for each in health if each["channel"] == what.channel]
        return switch

    resting = {
        "state": "resting", "off_at": timestamp(NOW), "rests_until": timestamp(off.rests_until), "rests": 1,
        "on_at": None, "on_by": None,
    }  # fmt: skip
    assert await shown() == resting
    assert len((await operator.get("/alerts?kind=channel_switched_off&open=true"))["data"]) == 1
    assert (await operator.post(on, body))["data"] == [what._asdict()]
    assert await shown() == resting | {"state": "on", "on_at": timestamp(NOW), "on_by": "li"}
    assert (await operator.get("/alerts?kind=channel_switched_off&open=true"))["data"] == []


# --- anomalies ---


async def test_an_anomaly_is_listed_until_it_is_resolved_with_a_note(operator: Operator) -> None:
    await anomaly(operator.engine, 1, operator.shop)
    is_open = {
        "object": "anomaly",
        "id": ano(1),
        "object_id": show(PAYMENT, UUID(int=1)),
        "kind": "late_success",
        "detail": "paid at the channel, failed here",
        "source": "callback",
        "found_at": "2026-03-05T04:00:00.000Z",
        "resolved_at": None,
        "resolved_by": None,
        "note": None,
        "payment": show(PAYMENT, UUID(int=1)),
        "channel_transaction_no": None,
        "resolution": None,
        "refund": None,
        "correction": None,
    }
    assert await operator.get("/anomalies") == {"data": [is_open], "next": None}
    assert (await operator.get("/anomalies?resolved=true"))["data"] == []
    resolved = await operator.post(f"/anomalies/{ano(1)}/resolve", WORD)
    word = {"resolved_at": "2026-03-01T08:00:00.000Z", "resolved_by": "li", "note": WORD["note"]}
    assert resolved == is_open | word | {"resolution": "explained"}
    assert (await operator.get("/anomalies?resolved=false"))["data"] == []
    assert (await operator.get("/anomalies?resolved=true"))["data"] == [resolved]


async def test_an_anomaly_of_a_refund_is_shown_by_the_refunds_id(operator: Operator) -> None:
    await anomaly(operator.engine, 1, operator.shop, ObjectKind.REFUND)
    assert [one["object_id"] for one in (await operator.get("/anomalies"))["data"]] == [show(REFUND, UUID(int=1))]


async def test_an_anomaly_is_resolved_once(operator: Operator) -> None:
    await anomaly(operator.engine, 1, operator.shop)
    await operator.post(f"/anomalies/{ano(1)}/resolve", WORD)
    problem = await operator.post(f"/anomalies/{ano(1)}/resolve", WORD | {"by": "wang"}, 409)
    assert problem["code"] == "already_resolved"
    assert (await operator.get("/anomalies?resolved=true"))["data"][0]["resolved_by"] == "li"


@pytest.mark.parametrize("resolved", [False, True])
async def test_anomalies_are_paged_newest_first(operator: Operator, resolved: bool) -> None:
    for number in (1, 2, 3):
        await anomaly(operator.engine, number, operator.shop)
        if resolved:
            await operator.post(f"/anomalies/{ano(number)}/resolve", WORD)
    asked = f"/anomalies?limit=2&resolved={str(resolved).lower()}"
    page = await operator.get(asked)
    assert [one["id"] for one in page["data"]] == [ano(3), ano(2)]
    assert page["next"] == ano(2)
    rest = await operator.get(f"{asked}&after={page['next']}")
    assert ([one["id"] for one in rest["data"]], rest["next"]) == ([ano(1)], None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"note": ""}, "note"),
        ({"note": " \n"}, "note"),
        ({"note": "x" * 501}, "note"),
        ({"note": None}, "note"),
        ({"by": " "}, "by"),
        ({"by": "x" * 101}, "by"),
        ({"by": 7}, "by"),
        ({"by": "li\0"}, "by"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_word_that_says_nothing_resolves_nothing(
    operator: Operator, change: dict[str, Any], field: str
) -> None:
    await anomaly(operator.engine, 1, operator.shop)
    problem = await operator.post(f"/anomalies/{ano(1)}/resolve", WORD | change, 422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert len((await operator.get("/anomalies"))["data"]) == 1


# --- both ---


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("/dead_letters?limit=0", "limit"),
        ("/dead_letters?limit=201", "limit"),
        ("/dead_letters?after=evt_01h2xcejqtf2nbrexx3vqjhp41", "after"),
        ("/dead_letters?after=ep_01h2xcejqtf2nbrexx3vqjhp41.evt_01h2xcejqtf2nbrexx3vqjhp41", "after"),
        ("/dead_letters?after=..", "after"),
        ("/dead_letters?app=shop", "app"),
        ("/anomalies?after=evt_01h2xcejqtf2nbrexx3vqjhp41", "after"),
        ("/anomalies?resolved=yes", "resolved"),
        ("/anomalies?limit=many", "limit"),
    ],
)
async def test_a_search_that_cannot_be_is_refused(operator: Operator, query: str, field: str) -> None:
    problem = await operator.get(query, 422)
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/events/{evt(9)}/redeliver", None),
        ("/events/pay_01h2xcejqtf2nbrexx3vqjhp41/redeliver", None),
        ("/events/%00/redeliver", None),
        (f"/anomalies/{ano(9)}/resolve", WORD),
        ("/anomalies/1/resolve", WORD),
        ("/endpoints/other/stop", WORD),
        ("/endpoints/other/start", WORD),
        ("/endpoints/%00/discard", WORD),
    ],
)
async def test_what_is_not_there_is_a_404(operator: Operator, path: str, body: object) -> None:
    assert (await operator.post(path, body, 404))["code"] == "not_found"


async def test_another_merchants_books_stay_its_own(operator: Operator) -> None:
    await event(operator.engine, 1, NOW, operator.other)
    await delivery(operator.engine, 1, 1, operator.other, **DEAD)
    await anomaly(operator.engine, 1, operator.other)
    assert (await operator.get("/dead_letters"))["data"] == []
    assert (await operator.get("/anomalies"))["data"] == []
    await operator.post(f"/events/{evt(1)}/redeliver", status=404)
    await operator.post(f"/anomalies/{ano(1)}/resolve", WORD, 404)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/dead_letters", None),
        ("POST", f"/events/{evt(1)}/redeliver", None),
        ("GET", "/endpoints", None),
        ("POST", "/endpoints/main/stop", WORD),
        ("POST", "/endpoints/main/start", WORD),
        ("POST", "/endpoints/main/discard", WORD),
        ("GET", "/anomalies", None),
        ("POST", f"/anomalies/{ano(1)}/resolve", WORD),
    ],
)
async def test_each_call_needs_the_admin_token_and_a_merchant(
    operator: Operator, method: str, path: str, body: object
) -> None:
    with_key = await operator.http.request(method, AT + path, json=body, headers={"Authorization": f"Bearer {APP_KEY}"})
    assert with_key.status == 403
    nobodys = await operator.http.request(method, f"/v1/admin/merchants/nobody{path}", json=body)
    assert (nobodys.status, (await nobodys.json())["detail"]) == (404, "There is no such merchant.")
