"""Problems in Chinese. Not tested here: failures of payments (tests/unit/objects), how the header is read
(tests/unit/api/test_language.py).
"""

import re

import pytest

from gateway.api.http.chinese import FIELDS, PROBLEMS
from gateway.api.http.field_codes import FIELD_CODES
from gateway.api.http.problems import PROBLEM_CODES
from tests.api.client import Client
from tests.api.fakes import order

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def test_every_code_has_chinese_words() -> None:
    assert set(PROBLEMS) == PROBLEM_CODES
    assert set(FIELDS) == FIELD_CODES
    assert all(CHINESE.search(words) for words in (*PROBLEMS.values(), *FIELDS.values()))


@pytest.mark.parametrize(("language", "chinese"), [("zh-CN,zh;q=0.9,en;q=0.8", True), ("en", False), (None, False)])
async def test_problems_speak_the_language_that_is_asked_for(
    client: Client, language: str | None, chinese: bool
) -> None:
    asked = {"Accept-Language": language} if language else {}
    await client.post("/v1/withholds", order())
    refused = [
        await client.send("GET", "/v1/payments", key=None, headers=asked),
        await client.post("/v1/withholds", order(amount=1), **asked),
        await client.post("/v1/withholds", order(amount="1", user_id=...), **asked),
        await client.send("GET", "/nothing", headers=asked),
    ]
    assert [got.status for got in refused] == [401, 409, 422, 404]
    assert [bool(CHINESE.search(got.problem["detail"])) for got in refused] == [chinese] * 4
    told = {error["field"]: error for error in refused[2].problem["errors"]}
    assert {name: error["code"] for name, error in told.items()} == {"amount": "wrong_type", "user_id": "missing"}
    assert all(bool(CHINESE.search(error["message"])) is chinese for error in told.values())
    assert "must be a whole number" in told["amount"]["message"]
