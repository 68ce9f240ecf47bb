"""Events, callbacks, health, and the pages that describe the API."""

from uuid import UUID

import pytest

from gateway.api.app.events import EventAnswer
from gateway.api.http.dispatch import MAX_BODY_BYTES
from gateway.domain.events import Redelivered
from gateway.domain.ids import EVENT, PAYMENT, show
from gateway.ports import SearchCutError
from tests.api.client import Client
from tests.api.fakes import OTHER_APP_KEY, FakeBooks, FakeGateway, order, refused


async def test_events_are_listed_read_and_sent_again_by_their_own_app(client: Client, gateway: FakeGateway) -> None:
    gateway.books.becomes = refused
    for number in range(3):
        await client.post("/v1/withholds", order(merchant_order_no=f"A-{number}"))
    first = (await client.get("/v1/events?limit=2&type=payment.failed")).json
    rest = (await client.get(f"/v1/events?limit=2&after={first['next']}")).json
    assert (len(first["data"]), len(rest["data"]), rest["next"]) == (2, 1, None)
    for event in first["data"] + rest["data"]:
        EventAnswer.model_validate(event)
        read = await client.get(f"/v1/events/{event['id']}")
        assert read.json == event
        again = await client.send("POST", f"/v1/events/{event['id']}/redeliver")
        assert (again.status, again.json) == (202, {"deliveries": 2, "held": 1})
        assert (await client.get(f"/v1/events/{event['id']}", key=OTHER_APP_KEY)).problem["code"] == "not_found"
        refused_to = await client.send("POST", f"/v1/events/{event['id']}/redeliver", key=OTHER_APP_KEY)
        assert refused_to.problem["code"] == "not_found"


async def test_an_event_whose_endpoints_are_all_stopped_is_not_sent_again(client: Client, gateway: FakeGateway) -> None:
    gateway.books.becomes = refused
    gateway.books.redelivered = Redelivered(0, 3, runs=False)
    await client.post("/v1/withholds", order())
    [event] = (await client.get("/v1/events")).json["data"]
    problem = (await client.send("POST", f"/v1/events/{event['id']}/redeliver")).problem_with("held")
    assert (problem["status"], problem["code"], problem["held"]) == (409, "endpoints_stopped", 3)


async def test_events_are_found_by_the_object_that_they_are_about(client: Client, gateway: FakeGateway) -> None:
    gateway.books.becomes = refused
    payments = [(await client.post("/v1/withholds", order(merchant_order_no=f"A-{n}"))).json["id"] for n in range(2)]
    for payment in payments:
        found = (await client.get(f"/v1/events?object_id={payment}")).json
        assert ([event["object_id"] for event in found["data"]], found["next"]) == ([payment], None)


@pytest.mark.parametrize(
    "object_id", ["xyz_01h2xcejqtf2nbrexx3vqjhp41", "pay_01h2xcejqtf2nbrexx3vqjhp41", "pay_zzzzzzzzzzzzzzzzzzzzzzzzzz"]
)
async def test_events_of_what_does_not_exist_are_none(client: Client, gateway: FakeGateway, object_id: str) -> None:
    gateway.books.becomes = refused
    await client.post("/v1/withholds", order())
    assert (await client.get(f"/v1/events?object_id={object_id}")).json["data"] == []


@pytest.mark.parametrize("name", ["evt_01h2xcejqtf2nbrexx3vqjhp41", "evt_7zzzzzzzzzzzzzzzzzzzzzzzzz", "pay_x", "%20"])
async def test_what_is_no_event_is_not_found(client: Client, name: str) -> None:
    assert (await client.get(f"/v1/events/{name}")).problem["code"] == "not_found"
    assert (await client.send("POST", f"/v1/events/{name}/redeliver")).problem["code"] == "not_found"


async def test_a_callback_is_handed_on_untouched_and_answered_as_the_psp_expects(
    client: Client, gateway: FakeGateway
) -> None:
    body = "signed=签&x=\x00".encode("gbk")
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=gbk"}
    got = await client.send("POST", "/callbacks/acme.unionpay?a=1&b=%20", body, key=None, headers=headers)
    assert (got.status, got.headers["Content-Type"], got.body) == (200, "text/plain", b"ok")
    _, request = gateway.callbacks.received[0]
    assert (request.method, request.query, request.body) == ("POST", "a=1&b=%20", body)
    assert request.headers["Content-Type"] == headers["Content-Type"]


async def test_a_callback_that_is_not_believed_is_answered_so(client: Client) -> None:
    got = await client.send("POST", "/callbacks/acme.unionpay", b"forged", key=None)
    assert (got.status, got.body) == (400, b"rejected")


async def test_a_callback_for_no_account_is_not_found(client: Client, gateway: FakeGateway) -> None:
    got = await client.send("POST", "/callbacks/acme.nobody", b"signed", key=None)
    assert got.problem["code"] == "not_found"
    assert (await client.send("POST", "/callbacks/acme.unionpay", b"s" * (MAX_BODY_BYTES + 1), key=None)).status == 413
    assert gateway.callbacks.received == []


async def test_health_says_whether_it_lives_and_is_ready(client: Client, gateway: FakeGateway) -> None:
    assert (await client.get("/healthz", key=None)).json == {"status": "ok"}
    ready = await client.get("/readyz", key=None)
    assert (ready.status, ready.json["ticks"]) == (200, {"poll": 0.5, "notify": None})
    assert ready.json["unusable_accounts"] == ["acme.up-1"]
    assert ready.json["assumptions"] == [
        {"account": "acme.tl-1", "name": "scene_code", "meaning": "Withholds have code 1.", "by": "account"}
    ]
    gateway.ready = False
    not_ready = await client.get("/readyz", key=None)
    assert (not_ready.status, not_ready.json["database"]) == (503, False)


async def test_metrics_are_prometheus_text(client: Client) -> None:
    got = await client.get("/metrics", key=None)
    assert (got.body, got.headers["Content-Type"].split(";")[0]) == (b"sluice_up 1\n", "text/plain")


async def test_the_docs_page_brings_everything_it_needs_from_here(client: Client) -> None:
    page = await client.get("/docs", key=None)
    assert b"http" not in page.body
    for part in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        assert f"/docs/{part}".encode() in page.body
        assert (await client.get(f"/docs/{part}", key=None)).status == 200
    for other in ("index.html", "..%2fapp.py", "swagger-editor.js"):
        assert (await client.get(f"/docs/{other}", key=None)).problem["code"] == "not_found"


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "Go on with `next`, or narrow it: by a number, a user, or a shorter time."), ("zh", "请用 next 继续")],
)
async def test_a_search_that_is_cut_says_how_to_narrow_it_and_where_it_goes_on(
    client: Client, gateway: FakeGateway, language: str, words: str
) -> None:
    gateway.books.cut_at = UUID(int=7)
    for path, prefix in (("/v1/payments?status=closed", PAYMENT), ("/v1/events?type=payment.closed", EVENT)):
        got = await client.get(path, Accept_Language=language)
        assert got.status == 200
        assert (got.json["data"], got.json["cut"]) == ([], True)
        assert got.json["next"] == show(prefix, UUID(int=7))
        assert words in got.json["narrow"]


async def test_a_search_that_took_too_long_says_so_and_is_no_overload(
    client: Client, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def takes_too_long(*_: object, **__: object) -> None:
        raise SearchCutError

    monkeypatch.setattr(FakeBooks, "payments", takes_too_long)
    got = await client.get("/v1/payments?status=closed")
    assert (got.status, got.problem["code"], got.headers["Retry-After"]) == (503, "search_cut", "5")
    assert "Narrow it" in got.problem["detail"]
