"""Texts of people and machines: what is hidden in one, or looks like something else.

Not tested here: which field is which (tests/unit/api/test_fields.py, tests/unit/test_catalogue_file.py).
"""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.texts import odd_in_name, odd_in_text

HIDDEN = [
    "\u3164", "\uffa0", "\u115f", "\u1160", "\u2800",  # blanks that are letters or signs to Unicode
    "\u2028", "\u2029", "\x00", "\x07", "\x1b", "\x7f", "\x85",  # lines and controls
    "\u202a", "\u202e", "\u2066", "\u2069", "\u200e", "\u200f", "\u061c",  # directions
    "\u200b", "\u200c", "\u2060", "\ufeff", "\u00ad", "\u180e", "\u034f", "\u17b4", "\u180b",  # nothing at all
    "\ufff9", "\U000e0001", "\U000e0041", "\U000e0100", "\U000e0fff",
    "\ue000", "\uf8ff", "\U000f0000", "\U0010fffd",  # private use
    "\ufffe", "\uffff", "\U0001ffff", "\U0002ffff", "\ufdd0", "\u0378", "\u2065",  # nobody's
    "\ud800", "\udfff",
    "\u00a0", "\u1680", "\u2000", "\u2007", "\u202f", "\u205f",  # blanks that are not the blank
]  # fmt: skip


@pytest.mark.parametrize("character", HIDDEN, ids=lambda character: f"{ord(character):04x}")
def test_what_is_hidden_is_found_wherever_it_stands(character: str) -> None:
    for text in (f"{character}用户", f"用{character}户", f"user{character}", character):
        assert odd_in_name(text) == character
        assert odd_in_text(text) == character


@pytest.mark.parametrize(
    "text",
    [
        "user-1", "用户 7", "張三丰", "ñandú", "n\u0303", "Ωμέγα", "买买提·阿卜杜拉", "a@b.c", "《合同》（二）",
        "１２３", "¥100", "\U0002ebf0", "\U00031350", "\U00020000", "𠮷野家", "Ꞩ", "नमस्ते", "สวัสดี",
    ],
)  # fmt: skip
def test_ordinary_texts_of_any_language_are_taken(text: str) -> None:
    assert odd_in_name(text) is None
    assert odd_in_text(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "红包🧧",
        "❤\ufe0f",
        "👨\u200d👩\u200d👧",
        "👍🏽",
        "🏳\ufe0f\u200d🌈",
        "1\ufe0f\u20e3",
        "👩🏽\u200d💻 ok",
        "🇨🇳",
        "™\ufe0f",
        "‼\ufe0f",
    ],
)
def test_pictures_may_stand_in_a_text(text: str) -> None:
    assert odd_in_text(text) is None


@pytest.mark.parametrize(
    "text", ["a\u200db", "张\u200d三", "👨\u200d", "\u200d👨", "a\ufe0f", "张\ufe0f", "👨\u200d\u200d👩"]
)
def test_what_joins_pictures_joins_nothing_else(text: str) -> None:
    assert odd_in_text(text) in {"\u200d", "\ufe0f"}


def test_a_picture_that_is_joined_is_no_name() -> None:
    assert odd_in_name("👨\u200d👩") == "\u200d"
    assert odd_in_name("红包🧧") is None


def test_a_wide_blank_is_a_blank_of_a_text_and_not_of_a_name() -> None:
    assert odd_in_text("尾款\u3000三月") is None
    assert odd_in_name("用户\u30007") == "\u3000"


def test_a_text_of_several_lines_says_so() -> None:
    assert odd_in_text("一\n二\t三\r\n", lines=True) is None
    assert odd_in_text("一\n二") == "\n"
    assert odd_in_text("一\x0b二", lines=True) == "\x0b"


@given(st.text())
def test_whatever_is_taken_holds_no_control_format_or_surrogate(text: str) -> None:
    if odd_in_name(text) is None:
        assert not {unicodedata.category(character) for character in text} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
