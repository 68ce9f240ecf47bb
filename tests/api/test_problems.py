"""What is wrong with a request before anybody looks at its fields, and what the server itself refuses.

Not tested here: each field's rule (tests/unit/api).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import orjson
import pytest
import structlog
from aiohttp import web
from structlog.testing import LogCapture

from gateway.api.application import build_app
from gateway.api.http.dispatch import MAX_BODY_BYTES
from gateway.api.http.runner import ProblemRunner
from gateway.domain.payments import Payment
from tests.api.client import Client
from tests.api.fakes import ADMIN, CARD, CARD_NO, FakeGateway, order


@pytest.fixture
def log_output() -> Iterator[LogCapture]:
    captured = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[captured])
    yield captured
    structlog.configure(**before)


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"null",
        b'"text"',
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": 1, "amount": 2}',
        b'{"card": {"card_no": "1", "card_no": "2"}}',
        b'{"user_id": "\xff"}',
        b'{"user_id": "\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        '{"user_id": "张三"}'.encode("gbk"),
        b"[" * 50_000,
        b'{"a":' * 10_000,
    ],
    ids=range(16),
)
async def test_a_body_that_is_no_json_object_is_malformed(client: Client, gateway: FakeGateway, body: bytes) -> None:
    got = await client.send("POST", "/v1/withholds", body, headers=JSON)
    assert (got.status, got.problem["code"]) == (400, "malformed_json")
    assert gateway.books.orders == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"user_id": "a\\u0000b"}',
        b'{"user_id": "\\ud800"}',
        b'{"metadata": {"a\\udfff": 1}}',
        b'{"x": [{"y": "\\u0000"}]}',
    ],
)
async def test_texts_that_no_database_holds_are_refused(client: Client, body: bytes) -> None:
    got = await client.send("POST", "/v1/withholds", body, headers=JSON)
    assert (got.status, got.problem["errors"][0]["code"]) == (422, "text")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", "nonsense", ""]
)
async def test_another_content_type_is_refused(client: Client, content_type: str) -> None:
    got = await client.send("POST", "/v1/withholds", orjson.dumps(order()), headers={"Content-Type": content_type})
    assert (got.status, got.problem["code"]) == (415, "unsupported_media_type")


async def test_json_may_say_that_it_is_utf_8(client: Client) -> None:
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    assert (await client.send("POST", "/v1/withholds", orjson.dumps(order()), headers=headers)).status == 201


@pytest.mark.parametrize("path", ["/v1/withholds", "/v1/routes", "/callbacks/acme.unionpay"])
async def test_a_body_above_the_limit_is_too_large(client: Client, path: str) -> None:
    got = await client.send("POST", path, b" " * (MAX_BODY_BYTES + 1), headers=JSON)
    assert (got.status, got.problem["code"]) == (413, "body_too_large")


async def test_a_body_without_a_length_is_limited_too(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            yield b" " * 1024

    got = await client.send("POST", "/v1/withholds", chunks(), headers=JSON)
    assert (got.status, got.problem["code"]) == (413, "body_too_large")


async def test_a_body_at_the_limit_is_read(client: Client) -> None:
    body = orjson.dumps(order())
    got = await client.send("POST", "/v1/withholds", body + b" " * (MAX_BODY_BYTES - len(body)), headers=JSON)
    assert got.status == 201


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic c2s6", "sk_test_shop"])
async def test_no_key_is_asked_for(client: Client, header: str | None) -> None:
    headers = {"Authorization": header} if header is not None else {}
    got = await client.send("GET", "/v1/payments", key=None, headers=headers)
    assert (got.status, got.problem["code"]) == (401, "unauthorized")
    assert got.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["sk_wrong", "sk_test_shop ish", "密钥", "x" * 4000])
async def test_a_wrong_key_is_refused_before_the_body_is_read(client: Client, key: str) -> None:
    got = await client.send("POST", "/v1/withholds", b"{", key=key, headers=JSON)
    assert (got.status, got.problem["code"]) == (401, "unauthorized")
    assert "invalid_token" in got.headers["WWW-Authenticate"]


async def test_the_admin_token_is_no_key(client: Client) -> None:
    got = await client.get("/v1/payments", key=ADMIN)
    assert (got.status, got.problem["code"]) == (403, "forbidden")


async def test_the_scheme_may_be_written_small(client: Client) -> None:
    assert (
        await client.send("GET", "/v1/payments", key=None, headers={"Authorization": "bearer sk_test_shop"})
    ).status == 200


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v1/payments/", "/v2/payments", "/v1/%00"])
async def test_an_unknown_address_is_not_found(client: Client, path: str) -> None:
    got = await client.get(path)
    assert (got.status, got.problem["code"]) == (404, "not_found")


@pytest.mark.parametrize(("method", "allowed"), [("DELETE", "POST"), ("GET", "POST"), ("PUT", "POST")])
async def test_a_wrong_method_says_which_are_right(client: Client, method: str, allowed: str) -> None:
    got = await client.send(method, "/v1/withholds")
    assert (got.status, got.problem["code"], got.headers["Allow"]) == (405, "method_not_allowed", allowed)


async def test_an_expectation_that_nobody_meets_is_a_problem_too(client: Client) -> None:
    got = await client.send("POST", "/v1/withholds", b"{}", headers=JSON | {"Expect": "miracles"})
    assert (got.status, got.problem["code"]) == (417, "expectation_failed")


async def test_the_unexpected_says_nothing_of_itself(
    client: Client, gateway: FakeGateway, log_output: LogCapture
) -> None:
    def fails(_payment: Payment) -> Payment:
        raise RuntimeError("secret-of-the-house")

    gateway.books.becomes = fails
    got = await client.post("/v1/withholds", order())
    assert (got.status, got.problem["code"]) == (500, "internal_error")
    assert b"secret-of-the-house" not in got.body
    logged, _finished = log_output.entries
    assert (logged["log_level"], logged["route"]) == ("error", "/v1/withholds")
    assert CARD_NO not in str(logged)


async def test_no_refusal_repeats_what_it_refused(client: Client) -> None:
    secrets = {
        "card_no": "6222021234567890A",
        "holder_name": "李\x07四",
        "id_no": "110101199013077770",
        "phone": "1390000",
    }
    body = order(card=secrets | {"6222021234567890": 1}, user_id=["6222021234567890"], amount="6222021234567890")
    got = await client.post("/v1/withholds", body)
    assert got.status == 422
    assert set(got.fields) >= {"card.card_no", "card.holder_name", "card.id_no", "card.phone", "user_id", "amount"}
    for secret in ("6222021234567890", "李", "110101199013077770", "1390000"):
        assert secret.encode() not in got.body


async def test_every_wrong_field_is_named_at_once(client: Client) -> None:
    got = await client.post("/v1/withholds", {"card": CARD | {"phone": 1}, "surprise": 1})
    missing = {"merchant_order_no", "scene", "user_id", "amount", "currency"}
    assert set(got.fields) == missing | {"card.phone", "surprise"}


async def test_a_request_id_is_given_or_kept(client: Client) -> None:
    own = await client.get("/healthz", X_Request_Id="trace-0123456789")
    assert own.headers["X-Request-Id"] == "trace-0123456789"
    for unfit in ("", "short", "a b c d e f g h", "x" * 65):
        given = (await client.get("/healthz", X_Request_Id=unfit)).headers["X-Request-Id"]
        assert given.startswith("req_")


POST = (
    b"POST /v1/withholds HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer sk_test_shop\r\n"
    b"Content-Type: application/json\r\n"
)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_secret\x00\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"POST /v1/withholds HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["nonsense", "version", "address", "control character", "header", "length", "chunk"],
)
async def test_what_is_no_http_is_a_problem_too(gateway: FakeGateway, log_output: LogCapture, sent: bytes) -> None:
    runner = ProblemRunner(build_app(gateway.api()), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(sent)
        async with asyncio.timeout(5):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    finally:
        await runner.cleanup()
    assert b" 400 " in head.splitlines()[0]
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert orjson.loads(body)["code"] == "bad_request"
    assert b"sk_secret" not in body
    assert "sk_secret" not in str(log_output.entries)
