"""Cards: masking, the bank of a number, and that no `repr` ever shows one."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.cards import Card, CardElements, bank_names, bank_of, mask_card_no
from gateway.domain.payments import Payment
from gateway.ports import AskAuthentication, Authenticate, Pay, StoredCard
from tests.unit.domain.samples import NOW, card_elements, opening, order, payment

digits = st.text("0123456789", min_size=12, max_size=19)
SECRETS = ("6222020000000001001", "张三", "11010519491231002X", "13800000000")


@given(digits)
def test_a_masked_number_keeps_six_and_four_digits_and_its_length(number: str) -> None:
    masked = mask_card_no(number)
    assert (len(masked), masked[:6], masked[-4:]) == (len(number), number[:6], number[-4:])
    assert set(masked[6:-4]) == {"*"}


def test_the_specifications_example_is_masked_as_it_says() -> None:
    assert mask_card_no("622202000000001234") == "622202********1234"
    assert mask_card_no("6222020000001234") == "622202******1234"


@pytest.mark.parametrize("show", [repr, str, "{}".format])
def test_nothing_that_carries_a_card_shows_it(show: "type[str]") -> None:
    elements = CardElements(*SECRETS)
    number = "0" * 32
    paid: Payment = payment()
    for value in (
        elements,
        order(card=elements),
        opening(order(card=elements)),
        StoredCard(Card(UUID(int=1), mask_card_no(SECRETS[0]), "ICBC"), elements),
        Authenticate(number, NOW, "ICBC", elements, "u-1", "https://example.com"),
        AskAuthentication(number, NOW, "ICBC", elements, "u-1"),
        Pay(number, NOW, paid.scene, 1, "ICBC", elements, "token-1", "u1", "x", "https://example.com"),
    ):
        shown = show(value)
        assert not [secret for secret in (*SECRETS, "token-1") if secret in shown]


def test_another_phone_makes_another_card() -> None:
    assert card_elements() != CardElements(*SECRETS[:3], "13900000000")


@pytest.mark.parametrize(
    ("number", "bank"),
    [
        ("622202" + "0" * 13, "ICBC"),
        ("622848" + "0" * 13, "ABC"),
        ("622700" + "0" * 13, "CCB"),
        ("999999" + "0" * 13, None),
        ("622202", None),
        ("", None),
    ],
)
def test_the_bank_of_a_number_is_told_by_its_bin_and_length(number: str, bank: str | None) -> None:
    assert bank_of(number) == bank


def test_a_longer_bin_wins_over_a_shorter_one() -> None:
    assert bank_of("103" + "0" * 16) == "ABC"
    assert bank_of("18572" + "0" * 13) == "KMRCU"


def test_every_bank_of_a_bin_has_a_name() -> None:
    names = bank_names()
    assert names["ICBC"] == "中国工商银行"
    assert {bank_of(prefix + "0" * 13) for prefix in ("622202", "622848", "622700")} <= names.keys()


@given(digits)
def test_any_number_has_a_known_bank_or_none(number: str) -> None:
    assert bank_of(number) in {*bank_names(), None}
