"""Forms of our pages: whose they are by origin and token, and what is not read."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from multidict import CIMultiDict

from gateway.api.http.page_forms import MAX_FIELDS, URLENCODED, checked_form
from gateway.api.http.problems import Problem
from gateway.api.http.routing import Call

BASE, TOKEN = "https://pay.example", "the-token"
RIGHT = f"form_token={TOKEN}&a=1".encode()


def call(
    raw: bytes = RIGHT, *headers: tuple[str, str], content_type: str = URLENCODED, charset: str | None = None
) -> Call:
    request = SimpleNamespace(
        headers=CIMultiDict(headers), host="10.0.0.7:8080", content_type=content_type, charset=charset
    )
    return cast("Call", SimpleNamespace(request=cast("Any", request), raw=raw))


def status_of(asked: Call) -> int:
    try:
        checked_form(asked, TOKEN, BASE)
    except Problem as problem:
        return problem.status
    return 200


OURS = [
    [],
    [("Origin", "null")],
    [("Origin", BASE)],
    [("Origin", "https://pay.example:443")],
    [("Origin", "https://10.0.0.7:8080")],
    [("Origin", "http://10.0.0.7:8080")],
    [("Origin", "null"), ("Sec-Fetch-Site", "same-origin")],
    [("Sec-Fetch-Site", "none")],
]
FOREIGN = [
    [("Origin", "https://evil.example")],
    [("Origin", "https://pay.example.evil.example")],
    [("Origin", "https://evil.example/https://pay.example")],
    [("Origin", "http://pay.example")],
    [("Origin", "https://pay.example:8443")],
    [("Origin", "file://10.0.0.7:8080")],
    [("Origin", "")],
    [("Origin", "pay.example")],
    [("Origin", "null"), ("Origin", "https://evil.example")],
    [("Origin", "null"), ("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "cross-site")],
]


@pytest.mark.parametrize("headers", OURS)
def test_a_form_of_ours_needs_its_token_wherever_it_seems_to_come_from(headers: list[tuple[str, str]]) -> None:
    assert status_of(call(RIGHT, *headers)) == 200
    for wrong in (
        b"a=1",
        b"form_token=&a=1",
        b"form_token=other",
        b"form_token=the-token%00",
        b"",
        "form_token=é".encode(),
    ):
        assert status_of(call(wrong, *headers)) in {400, 403}, wrong
    assert status_of(call(b"form_token=%C3%A9", *headers)) == 403


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_form_is_refused_even_with_a_right_token(headers: list[tuple[str, str]]) -> None:
    assert status_of(call(RIGHT, *headers)) == 403


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (RIGHT + b"&a=2", 400),
        (RIGHT + b"&form_token=other", 400),
        (RIGHT + b"&b=%FF", 400),
        (RIGHT + "&b=é".encode(), 400),
        (RIGHT + b"".join(b"&f%d=" % number for number in range(MAX_FIELDS)), 400),
        (RIGHT + b"&&empty=&b=%E5%BC%A0", 200),
    ],
)
def test_what_cannot_be_read_in_one_way_is_refused(raw: bytes, status: int) -> None:
    assert status_of(call(raw)) == status


def test_empty_fields_are_kept_and_texts_are_utf_8() -> None:
    assert checked_form(call(RIGHT + b"&b=&c=%E5%BC%A0+%E4%B8%89"), TOKEN, BASE) == {
        "form_token": TOKEN, "a": "1", "b": "", "c": "张 三",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content_type", "charset", "status"),
    [
        (URLENCODED, "UTF-8", 200),
        (URLENCODED, "gbk", 415),
        ("multipart/form-data", None, 415),
        ("text/plain", None, 415),
        ("application/json", None, 415),
    ],
)
def test_only_the_type_of_our_forms_is_read(content_type: str, charset: str | None, status: int) -> None:
    assert status_of(call(content_type=content_type, charset=charset)) == status
