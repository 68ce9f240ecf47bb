"""Log lines as they leave the process. Not tested here: how the readable lines of a terminal look."""

import io
import logging
import os
from typing import Any

import orjson
import pytest
import structlog

from gateway import logs

CARD_NO = "6222021234567890128"
ID_NO = "11010519491231002X"
MORE_THAN_A_PIPE_HOLDS, PIPE_BYTES = 2_000, 1_000_000


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in written.getvalue().splitlines()]


def test_a_line_has_the_names_of_ecs(written: io.StringIO) -> None:
    logs.get("gateway.flows.pay").info("payment opened", action="open", trace_id="t1", payment_id="pay_1")
    (line,) = lines(written)
    assert line.pop("@timestamp").endswith("Z")
    assert line == {
        "ecs.version": logs.ECS_VERSION,
        "service.name": "sluice",
        "log.level": "info",
        "log.logger": "gateway.flows.pay",
        "message": "payment opened",
        "event.action": "open",
        "trace.id": "t1",
        "sluice.payment_id": "pay_1",
    }


def test_a_line_begins_with_when_how_bad_and_what(written: io.StringIO) -> None:
    logs.get("x").warning("late", payment_id="pay_1")
    logging.getLogger("asyncio").warning("slow callback")
    for line in lines(written):
        assert list(line)[:4] == ["@timestamp", "log.level", "message", "ecs.version"]


@pytest.mark.parametrize(
    "odd",
    [
        {"error": "text", "error.type": "TypeError"},
        {"log": "text"},
        {"log.logger.name": "a.b"},
        {"amounts": {1: 2}},
        {"nested": [{"a.b": 1, "a": 2}]},
        {"whatever": object()},
    ],
    ids=lambda odd: next(iter(odd)),
)
def test_no_field_whatever_its_name_or_value_loses_the_line(written: io.StringIO, odd: dict[str, object]) -> None:
    logs.get("x").info("seen", **odd)
    assert [line["message"] for line in lines(written)] == ["seen"]


def test_what_is_below_the_level_is_not_written(written: io.StringIO) -> None:
    logs.get("x").debug("nobody reads this")
    assert written.getvalue() == ""


def test_an_error_comes_with_its_type_message_and_stack(written: io.StringIO) -> None:
    try:
        raise ValueError(f"cannot read {CARD_NO}")
    except ValueError:
        logs.get("x").exception("failed")
    (line,) = lines(written)
    assert line["error.type"] == "ValueError"
    assert line["error.message"] == "cannot read 6222******0128"
    assert "Traceback" in line["error.stack_trace"]
    assert CARD_NO not in written.getvalue()


@pytest.mark.parametrize("field", sorted(logs.SECRET_FIELDS))
def test_a_field_that_is_secret_by_name_is_blanked(written: io.StringIO, field: str) -> None:
    logs.get("x").info("seen", **{field: "a secret", "nested": {field: "a secret"}})
    assert "a secret" not in written.getvalue()


@pytest.mark.parametrize(
    "value", [CARD_NO, int(CARD_NO), f"acct={CARD_NO};", [CARD_NO], {"a": {"b": CARD_NO}}, CARD_NO.encode(), ID_NO]
)
def test_a_long_number_never_appears_whole(written: io.StringIO, value: object) -> None:
    logs.get("x").info("seen", value=value)
    assert CARD_NO not in written.getvalue()
    assert ID_NO not in written.getvalue()


def test_a_long_number_in_the_message_is_masked(written: io.StringIO) -> None:
    logs.get("x").info(f"card {CARD_NO}")
    assert lines(written)[0]["message"] == "card 6222******0128"


def test_amounts_and_order_numbers_stay_readable(written: io.StringIO) -> None:
    logs.get("x").info("seen", amount=980001, payment_id="pay_01jd3x7zk5f9hbpn2c8a6v4m1q")
    (line,) = lines(written)
    assert (line["sluice.amount"], line["sluice.payment_id"]) == (980001, "pay_01jd3x7zk5f9hbpn2c8a6v4m1q")


def test_warnings_of_libraries_come_as_the_same_lines(written: io.StringIO) -> None:
    logging.getLogger("aiohttp.access").info("too chatty")
    logging.getLogger("asyncio").warning("slow callback with %s", CARD_NO)
    (line,) = lines(written)
    assert (line["log.level"], line["log.logger"]) == ("warning", "asyncio")
    assert line["message"] == "slow callback with 6222******0128"


def test_a_log_whose_reader_stands_still_holds_nobody_up_and_says_later_what_was_lost(
    written: io.StringIO,
) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as pipe, os.fdopen(read, "rb", buffering=0) as reader:
        logs.configure("info", console=False, stream=pipe)
        structlog.configure(cache_logger_on_first_use=False)
        for number in range(MORE_THAN_A_PIPE_HOLDS):
            logs.write("x", "info", "request finished", {"sluice.number": number})
            logs.get("x").info("seen")
            logging.getLogger("library").warning("seen")
        kept = [orjson.loads(line) for line in reader.read(PIPE_BYTES).splitlines()]
        logs.write("x", "info", "after", {})
        told, after = [orjson.loads(line) for line in reader.read(PIPE_BYTES).splitlines()]
    assert [line["sluice.number"] for line in kept if "sluice.number" in line][:3] == [0, 1, 2]
    assert (told["message"], told["log.level"], after["message"]) == (logs.LOST, "warning", "after")
    assert len(kept) + told["sluice.lost"] == 3 * MORE_THAN_A_PIPE_HOLDS
