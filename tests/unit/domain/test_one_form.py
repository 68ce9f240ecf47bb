"""What people type in one form: a table of spellings, and what holds for any text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.cards import CardElements
from gateway.domain.one_form import id_in_one_form, name_in_one_form, number_in_one_form, one_form

CARD = CardElements("6222020000000001230", "买买提\u00b7阿卜杜拉", "11010519491231002X", "13800138000")


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("张三", "张三"),
        *((f"买买提{dot}阿卜杜拉", "买买提\u00b7阿卜杜拉") for dot in "\u2022\u2027\u30fb\uff65\u00b7\u0387"),
        ("买买提 \u2022 阿卜杜拉", "买买提\u00b7阿卜杜拉"),
        ("张 三", "张三"),
        ("张\u3000三", "张三"),
        ("欧阳\u00a0 \u2003娜娜", "欧阳娜娜"),
        ("\u2f45\u2f25", "方女"),  # Kangxi radicals
        ("\u2e9f\u2ef3", "母龟"),  # of the radicals supplement, those that are a character
        ("\uf9d1\U0002f800", "六丽"),  # compatibility ideographs
        ("〇 一", "〇一"),
        ("\U00020000 三", "\U00020000三"),
        ("ＺＨＡＮＧ　ＳＡＮ", "ZHANG SAN"),
        ("Zhang  San", "Zhang San"),
        ("Zhang\u3000San", "Zhang San"),
        ("Ａ\u0301ngel", "Ángel"),  # the mark joins what became plain
        ("José", "José"),
        ("O'Brien-Smith", "O'Brien-Smith"),
        ("张三２", "张三2"),
        ("John 三 Smith", "John三Smith"),  # one Chinese character makes a Chinese name
    ],
)
def test_a_name_has_one_form(typed: str, plain: str) -> None:
    assert name_in_one_form(typed) == plain


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("6222020000000001230", "6222020000000001230"),
        ("6222 0200 0000 0001 230", "6222020000000001230"),
        ("６２２２０２00\u3000０００００００１２３０", "6222020000000001230"),
        ("138 0013 8000", "13800138000"),
    ],
)
def test_a_number_is_half_width_digits_without_blanks(typed: str, plain: str) -> None:
    assert number_in_one_form(typed) == plain


@pytest.mark.parametrize("typed", ["11010519491231002x", "11010519491231002Ｘ", "１１010519491231002ｘ"])
def test_an_id_number_is_half_width_and_upper_case(typed: str) -> None:
    assert id_in_one_form(typed) == "11010519491231002X"


def test_one_person_typed_in_four_ways_is_one_card() -> None:
    typed = [
        CARD,
        CardElements("6222 0200 0000 0001 230", "买买提•阿卜杜拉", "11010519491231002x", "13800138000"),
        CardElements(
            "６２２２０２０００００００００１２３０", "买买提・阿卜杜拉", "11010519491231002Ｘ", "138 0013 8000"
        ),
        CardElements("6222020000000001230", "买买提 ･ 阿卜杜拉", "１１０１０５19491231002x", "１３８００１３８０００"),
    ]
    assert {one_form(card).holder_name for card in typed} == {CARD.holder_name}
    assert all(one_form(card) == CARD for card in typed)


def test_what_is_in_one_form_already_is_the_same_object() -> None:
    assert one_form(CARD) is CARD


names = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("张三买·•‧・･ 　\u00a0\u2003Ａａ０AB\u0301\u0308"),
        st.characters(min_codepoint=0x2E80, max_codepoint=0x2FDF),
        st.characters(min_codepoint=0xF900, max_codepoint=0xFAFF),
        st.characters(min_codepoint=0x2F800, max_codepoint=0x2FA1F),
    ),
    max_size=30,
)


@given(names)
def test_twice_is_once(text: str) -> None:
    once = name_in_one_form(text)
    assert name_in_one_form(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert number_in_one_form(number_in_one_form(text)) == number_in_one_form(text)
    card = one_form(CardElements(text, text, text, text))
    assert one_form(card) == card


@given(names, st.sampled_from("•‧・･·"), st.sampled_from("•‧・･·"))
def test_a_name_does_not_depend_on_its_dot_or_on_its_normalization(text: str, one: str, other: str) -> None:
    assert name_in_one_form(f"艾{one}{text}") == name_in_one_form(f"艾{other}{text}")
    assert name_in_one_form(unicodedata.normalize("NFD", text)) == name_in_one_form(text)
