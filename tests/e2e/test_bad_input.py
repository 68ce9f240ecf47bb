"""Every field of every call, given wrongly: a stable code, the field's name, nothing recorded, nothing repeated.

What each rule of a field says in detail is tested at the fields (`tests/api`); here it goes through the whole gateway.
"""

import asyncio
import json
from typing import Any

import pytest

from tests.e2e.bad_values import (
    ADMIN,
    CARD_NO,
    GONE,
    GOOD_QUESTION,
    IDS,
    MALFORMED,
    OTHERS_CARD,
    PAYMENT,
    QUERIES,
    QUESTION,
    WHAT_IF,
)
from tests.e2e.business import Answer, App, Shown
from tests.e2e.waiting import PATIENCE_S
from tests.e2e.world import World

SCENE_AGAINST_CALL = [
    ("/v1/withholds", "quick_charge"),
    ("/v1/withholds", "netbank_charge"),
    ("/v1/charges", "withhold"),
    ("/v1/charges", "custody_withhold"),
]


@pytest.fixture(scope="module")
async def app(world: World) -> App:
    """A merchant of these tests' own, so that others' payments do not count."""
    return await world.merchant()


def changed(order: Shown, path: str, value: Any) -> Shown:
    """The order with one field given wrongly."""
    first, _, rest = path.partition(".")
    if rest:
        return order | {first: changed(order[first], rest, value)}
    return {name: held for name, held in order.items() if name != path} if value is GONE else order | {path: value}


def sent(body: Any) -> bytes:
    """As JSON, with lone surrogates as escapes."""
    return json.dumps(body).encode()


async def refused(
    app: App, method: str, path: str, body: bytes | None, status: int, code: str, **headers: str
) -> Answer:
    """The call is answered by this problem, and nothing of the request is repeated."""
    given = {"Content-Type": "application/json"} | headers if body is not None else headers
    answer = await app.call(method, path, body, **given)
    assert (answer.status, answer.body["code"]) == (status, code), answer.raw
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert set(answer.body) == {"type", "title", "status", "code", "detail", "errors", "request_id"}
    assert CARD_NO.encode() not in answer.raw
    assert b"Traceback" not in answer.raw
    return answer


def named(answer: Answer) -> set[str]:
    return {error["field"] for error in answer.body["errors"]}


async def recorded(world: World, app: App) -> int:
    """How many rows of the books are this merchant's."""
    code = await world.code_of(app)
    tables = ("users", "cards", "orders", "payments", "intents", "events", "channel_usage")
    mine = "(SELECT merchant_id FROM merchants WHERE code = $1)"
    counted = " + ".join(f"(SELECT count(*) FROM {table} WHERE merchant_id = {mine})" for table in tables)
    return int((await world.sql(f"SELECT {counted} AS n", code))[0]["n"])


def order_with_known_card(world: World, scene: str = "withhold") -> Shown:
    order = world.order(20_000, scene=scene)
    return order | {"card": order["card"] | {"card_no": CARD_NO}}


@pytest.mark.parametrize(("path", "scene"), [("/v1/withholds", "withhold"), ("/v1/charges", "quick_charge")])
async def test_every_field_of_a_payment(world: World, app: App, path: str, scene: str) -> None:
    before = await recorded(world, app)
    for field, values in PAYMENT.items():
        for bad in values:
            body = sent(changed(order_with_known_card(world, scene), field, bad))
            answer = await refused(app, "POST", path, body, 422, "invalid_request")
            assert named(answer) == {field}, (field, bad)
    assert await recorded(world, app) == before


@pytest.mark.parametrize(("path", "scene"), SCENE_AGAINST_CALL)
async def test_a_scene_of_another_call(world: World, app: App, path: str, scene: str) -> None:
    order = order_with_known_card(world, scene)
    answer = await refused(app, "POST", path, sent(order), 422, "invalid_request")
    assert "scene" in named(answer)


async def test_what_a_scene_does_not_take(world: World, app: App) -> None:
    before = await recorded(world, app)
    wrong = {
        "card": order_with_known_card(world, "netbank_charge") | {"bank": "ICBC"},
        "bank": changed(order_with_known_card(world, "netbank_charge"), "card", GONE),
        "card_id": order_with_known_card(world, "quick_charge") | {"card_id": OTHERS_CARD},
    }
    for field, body in wrong.items():
        assert field in named(await refused(app, "POST", "/v1/charges", sent(body), 422, "invalid_request"))
    unknown = changed(order_with_known_card(world), "card", GONE) | {"card_id": OTHERS_CARD}
    assert named(await refused(app, "POST", "/v1/withholds", sent(unknown), 422, "invalid_request")) == {"card_id"}
    assert await recorded(world, app) == before


async def test_a_card_of_another_user_is_not_known(world: World, app: App) -> None:
    payment = await app.pay(world.order(20_000))
    body = world.order(20_000, card=None, card_id=payment["card"]["id"])
    answer = await refused(app, "POST", "/v1/withholds", sent(body), 422, "invalid_request")
    assert named(answer) == {"card_id"}
    stranger = world.order(20_000, card=None, card_id=payment["card"]["id"], user_id=payment["user_id"])
    answer = await refused(world.app, "POST", "/v1/withholds", sent(stranger), 422, "invalid_request")
    assert named(answer) == {"card_id"}


async def test_a_card_whose_bank_nobody_knows_needs_the_bank(world: World, app: App) -> None:
    order = world.order(20_000, card=world.card(issuer="000000"))
    answer = await refused(app, "POST", "/v1/withholds", sent(order), 422, "invalid_request")
    assert named(answer) == {"bank"}
    assert (await app.pay(order | {"bank": "ICBC"}))["bank"] == "ICBC"


@pytest.mark.parametrize("path", ["/v1/withholds", "/v1/charges", "/v1/routes"])
async def test_bodies_that_are_no_json_object(world: World, app: App, path: str) -> None:
    before = await recorded(world, app)
    for body in MALFORMED:
        await refused(app, "POST", path, body, 400, "malformed_json")
    await refused(app, "POST", path, b'{"x": "' + b"y" * 70_000 + b'"}', 413, "body_too_large")
    await refused(app, "POST", path, b"{" + b" " * 900_000 + b"}", 413, "body_too_large")
    assert await recorded(world, app) == before


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
async def test_content_types_that_are_not_json(world: World, app: App, content_type: str) -> None:
    body = sent(order_with_known_card(world))
    headers = {"Content-Type": content_type}
    await refused(app, "POST", "/v1/withholds", body, 415, "unsupported_media_type", **headers)


async def test_a_body_that_is_cut_off_is_not_half_taken(world: World, app: App) -> None:
    before = await recorded(world, app)
    order = sent(order_with_known_card(world))
    for end in range(1, len(order), 17):
        await refused(app, "POST", "/v1/withholds", order[:end], 400, "malformed_json")
    assert await recorded(world, app) == before


async def test_an_order_number_that_was_used_before(world: World, app: App) -> None:
    order, other_user = world.order(20_000), world.order(20_000)
    for taken in (order, other_user):
        await app.pay(taken)
    before = await recorded(world, app)
    other_card = order | {"card": world.card()}
    for other in (
        order | {"amount": 20_001},
        other_card,
        order | {"metadata": {"a": 1}},
        order | {"user_id": other_user["user_id"]},
    ):
        await refused(app, "POST", "/v1/withholds", sent(other), 409, "order_conflict")
    charge = order | {"scene": "quick_charge"}
    await refused(app, "POST", "/v1/charges", sent(charge), 409, "order_conflict")
    assert await recorded(world, app) == before


async def test_keys_that_are_none_wrong_or_of_another_scope(world: World, app: App) -> None:
    before = await recorded(world, app)
    order = sent(order_with_known_card(world))
    for header in ("", "Bearer", "Bearer ", "Basic c2s6", app.key, "Bearer sk_test_wrong", f"Bearer {app.key}x"):
        answer = await refused(app, "POST", "/v1/withholds", order, 401, "unauthorized", Authorization=header)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    admin = {"Authorization": "Bearer admin_test_sluice_demo"}
    await refused(app, "POST", "/v1/withholds", order, 403, "forbidden", **admin)
    await refused(app, "GET", "/v1/admin/catalogue", None, 403, "forbidden")
    assert await recorded(world, app) == before


@pytest.mark.parametrize("suffix", ["", "/decision", "/timeline"])
async def test_payments_that_are_not_there(app: App, suffix: str) -> None:
    for bad in IDS:
        await refused(app, "GET", f"/v1/payments/{bad}{suffix}", None, 404, "not_found")


async def test_events_that_are_not_there(app: App) -> None:
    for bad in (*IDS, "evt_01h2xcejqtf2nbrexx3vqjhp41"):
        await refused(app, "GET", f"/v1/events/{bad}", None, 404, "not_found")
        await refused(app, "POST", f"/v1/events/{bad}/redeliver", None, 404, "not_found")


@pytest.mark.parametrize("path", list(QUERIES))
async def test_every_parameter_of_a_search(app: App, path: str) -> None:
    for name, values in QUERIES[path].items():
        for bad in values:
            answer = await refused(app, "GET", f"{path}?{name}={bad}", None, 422, "invalid_request")
            assert named(answer) == {name}, bad


async def test_a_parameter_that_is_given_twice(app: App) -> None:
    answer = await refused(app, "GET", "/v1/payments?limit=1&limit=2", None, 422, "invalid_request")
    assert named(answer) == {"limit"}


async def test_every_field_of_a_dry_run(world: World, app: App) -> None:
    before = await recorded(world, app)
    for field, values in QUESTION.items():
        for bad in values:
            body = sent(changed(GOOD_QUESTION, field, bad))
            assert named(await refused(app, "POST", "/v1/routes", body, 422, "invalid_request")) == {field}, bad
    for field, values in WHAT_IF.items():
        for bad in values:
            body = sent(GOOD_QUESTION | {"what_if": bad})
            answer = await refused(app, "POST", "/v1/routes", body, 422, "invalid_request")
            assert any(name.startswith(field) for name in named(answer)), (field, answer.body)
    assert await recorded(world, app) == before


@pytest.fixture(scope="module")
def admin(world: World) -> App:
    """The operator, who calls as an app does."""
    return App(world, world.gateway, "admin_test_sluice_demo")


async def test_every_field_of_the_admin_calls(world: World, app: App, admin: App) -> None:
    assert world.system is not None
    channel = f"/v1/admin/merchants/{await world.code_of(app)}/channels/unionpay"
    before = (await world.system.watch.refresh_now()).version
    for (method, path, field), bodies in ADMIN.items():
        for body in bodies:
            answer = await refused(admin, method, channel + path, sent(body), 422, "invalid_request")
            assert any(name.startswith(field) for name in named(answer)), (path, body, answer.body)
    for malformed in MALFORMED:
        await refused(admin, "PATCH", channel, malformed, 400, "malformed_json")
    assert (await world.system.watch.refresh_now()).version == before


async def test_what_the_catalogue_does_not_have(world: World, app: App, admin: App) -> None:
    code = await world.code_of(app)
    missing = (
        ("GET", "/merchants/nobody/channels", None),
        ("PATCH", f"/merchants/{code}/channels/nothing", {"on": True}),
        ("DELETE", f"/merchants/{code}/channels/unionpay/maintenance_windows/mw_01h2xcejqtf2nbrexx3vqjhp41", None),
        ("DELETE", f"/merchants/{code}/channels/unionpay/maintenance_windows/x", None),
        ("PUT", f"/merchants/{code}/channels/unionpay/rules/nothing/ICBC", {"fee": 1}),
        ("PUT", f"/merchants/{code}/channels/unionpay/rules/withhold/NOSUCHBANK", {"fee": 1}),
        ("DELETE", f"/merchants/{code}/channels/unionpay/rules/custody_withhold/ICBC", None),
    )
    for method, path, body in missing:
        given = None if body is None else sent(body)
        await refused(admin, method, f"/v1/admin{path}", given, 404, "not_found")


async def test_addresses_and_methods_that_are_not_there(app: App) -> None:
    await refused(app, "GET", "/v1/nothing", None, 404, "not_found")
    await refused(app, "DELETE", "/v1/payments", None, 405, "method_not_allowed")
    await refused(app, "PUT", "/v1/withholds", b"{}", 405, "method_not_allowed")


NO_HTTP = [
    b"nonsense\r\n\r\n",
    b"GET\r\n\r\n",
    b"POST /v1/withholds HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/withholds HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"GET /v1/payments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"k" * 20_000 + b"\r\n\r\n",
    b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
]


@pytest.mark.parametrize("sent_raw", NO_HTTP)
async def test_what_is_no_http_is_a_problem_too(world: World, sent_raw: bytes) -> None:
    host, port = world.gateway.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent_raw)
        answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), head
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "bad_request"
