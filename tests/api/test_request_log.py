"""One line in the log for each finished request, as it leaves the process.

Not tested here: calls to PSPs (tests/unit/test_calls.py), how other lines look (tests/unit/test_logs.py).
"""

import io
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog

from gateway import logs
from tests.api.client import Client
from tests.api.fakes import ADMIN, CARD, CARD_NO, KEY, OTHER_MERCHANT_KEY, FakeGateway, order


class Written(io.StringIO):
    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def written() -> Iterator[Written]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = Written()
    logs.configure("info", console=False, stream=stream)
    structlog.configure(cache_logger_on_first_use=False)  # loggers of modules outlive this test
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_a_payment_leaves_one_line_that_says_who_what_and_how_long(client: Client, written: Written) -> None:
    got = await client.post("/v1/withholds", order())
    (line,) = written.lines()
    assert line.pop("@timestamp").endswith("Z")
    assert 0 < line.pop("event.duration") == pytest.approx(line.pop("sluice.ms") * 1e6, abs=1e5)
    assert line == {
        "log.level": "info",
        "message": "request finished",
        "ecs.version": logs.ECS_VERSION,
        "service.name": "sluice",
        "log.logger": "gateway.api.http.request_log",
        "http.request.id": got.headers["X-Request-Id"],
        "http.request.method": "POST",
        "http.response.status_code": 201,
        "url.path": "/v1/withholds",
        "sluice.merchant": "acme",
        "sluice.app": "shop",
        "sluice.object_id": got.json["id"],
    }


@pytest.mark.parametrize(
    ("method", "path", "key", "status", "code", "route"),
    [
        ("GET", "/v1/payments", None, 401, "unauthorized", "/v1/payments"),
        ("POST", "/v1/withholds", "sk_wrong", 401, "unauthorized", "/v1/withholds"),
        ("GET", "/v1/payments", ADMIN, 403, "forbidden", "/v1/payments"),
        ("GET", "/v1/payments/pay_00000000000000000000000000", KEY, 404, "not_found", "/v1/payments/{id}"),
        ("GET", "/nothing/here", KEY, 404, "not_found", None),
        ("DELETE", "/v1/withholds", KEY, 405, "method_not_allowed", None),
        ("POST", "/v1/withholds", KEY, 415, "unsupported_media_type", "/v1/withholds"),
        ("GET", "/v1/payments?surprise=1", KEY, 422, "invalid_request", "/v1/payments"),
    ],
)
async def test_what_is_refused_leaves_a_line_too(
    client: Client, written: Written, method: str, path: str, key: str | None, status: int, code: str, route: str | None
) -> None:
    got = await client.send(method, path, key=key)
    (line,) = written.lines()
    assert got.status == line["http.response.status_code"] == status
    assert (line["sluice.code"], line.get("url.path"), line["log.level"]) == (code, route, "info")
    assert line["http.request.id"] == got.headers["X-Request-Id"]


async def test_what_is_refused_before_any_handler_leaves_a_line_too(client: Client, written: Written) -> None:
    headers = {"Expect": "miracles", "Content-Type": "application/json"}
    got = await client.send("POST", "/v1/withholds", b"{}", headers=headers)
    (line,) = written.lines()
    assert (got.status, line["http.response.status_code"]) == (417, 417)
    assert line["http.request.id"] == got.headers["X-Request-Id"]


async def test_an_object_that_is_read_is_named_also_when_it_is_not_there(client: Client, written: Written) -> None:
    made = (await client.post("/v1/withholds", order())).json["id"]
    await client.get(f"/v1/payments/{made}/timeline")
    await client.get(f"/v1/payments/{made}", key=OTHER_MERCHANT_KEY)
    assert [line["sluice.object_id"] for line in written.lines()] == [made] * 3
    assert [line["sluice.merchant"] for line in written.lines()] == ["acme", "acme", "other"]


async def test_what_breaks_is_a_warning_beside_its_stack(
    client: Client, gateway: FakeGateway, written: Written
) -> None:
    def fails(_payment: object) -> Any:
        raise RuntimeError("broken")

    gateway.books.becomes = fails
    got = await client.post("/v1/withholds", order())
    broken, finished = written.lines()
    assert (broken["log.level"], finished["log.level"]) == ("error", "warning")
    assert broken["http.request.id"] == finished["http.request.id"] == got.headers["X-Request-Id"]


async def test_the_calls_of_machines_are_told_only_when_they_fail(
    client: Client, gateway: FakeGateway, written: Written
) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        await client.get(path)
    assert not written.lines()
    gateway.ready = False
    await client.get("/readyz")
    assert [line["http.response.status_code"] for line in written.lines()] == [503]


async def test_nothing_that_was_sent_is_in_the_log(client: Client, written: Written) -> None:
    headers = {"X-Request-Id": CARD_NO, "User-Agent": CARD_NO, "Content-Type": "application/json"}
    body = orjson.dumps(order(user_id=CARD_NO, merchant_order_no=CARD_NO, description="a gift"))
    got = await client.send("POST", f"/v1/withholds?card_no={CARD_NO}", body, headers=headers)
    await client.send("GET", f"/v1/payments/{CARD_NO}", headers=headers)
    await client.send("GET", f"/{CARD_NO}", headers=headers)
    await client.send("POST", f"/callbacks/{CARD_NO}", b"x", headers=headers)
    assert len(written.lines()) == 4
    for secret in (CARD_NO, CARD["holder_name"], CARD["id_no"], CARD["phone"], KEY, "gift"):
        assert secret not in written.getvalue()
    # A name that may be a card's number is not taken over, so the answer's can be found.
    assert got.headers["X-Request-Id"] == written.lines()[0]["http.request.id"] != CARD_NO


async def test_below_its_level_no_line_is_written(client: Client, written: Written) -> None:
    logs.configure("warning", console=False, stream=written)
    await client.get("/v1/payments")
    assert not written.lines()


async def test_a_log_that_nobody_reads_any_more_stops_no_request(client: Client, written: Written) -> None:
    written.close()
    assert (await client.post("/v1/withholds", order())).status == 201
