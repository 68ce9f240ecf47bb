"""Values of the block list: what may be blocked, in which form it is compared, and what people see of it.

Not tested here: who is blocked by them (tests/storage/test_blocks.py).
"""

import pytest

from gateway.domain.blocks import BlockKind, BlockValueError, blocked_value
from gateway.domain.identities import IdType

USER, CARD_NO, ID_NO, PHONE = BlockKind.USER, BlockKind.CARD_NO, BlockKind.ID_NO, BlockKind.PHONE


@pytest.mark.parametrize(
    ("kind", "typed", "value", "masked"),
    [
        (CARD_NO, "6222 0210 0111 2222 335", "6222021001112222335", "622202*********2335"),
        (CARD_NO, "６２２２０２１００１１１２２２２", "6222021001112222", "622202******2222"),
        (PHONE, "138 0013 8000", "13800138000", "138****8000"),
        (ID_NO, "11010119900307123x", "11010119900307123X", "110***********123X"),
        (ID_NO, "110101900307123", "110101900307123", "110********7123"),
        (USER, "Müller 7", "Müller 7", "Mü**** 7"),
        (USER, "u1", "u1", "**"),
        (USER, "u12345", "u12345", "u****5"),
    ],
)
def test_a_value_is_compared_in_its_one_form_and_shown_masked(
    kind: BlockKind, typed: str, value: str, masked: str
) -> None:
    blocked = blocked_value(kind, typed)
    assert (blocked.value, blocked.masked) == (value, masked)
    assert value not in repr(blocked)


@pytest.mark.parametrize(
    ("kind", "typed", "must_be"),
    [
        (CARD_NO, "622202******2222", "12 to 19 digits"),
        (CARD_NO, "622202", "12 to 19 digits"),
        (CARD_NO, "6222-0210-0111-2222", "12 to 19 digits"),
        (PHONE, "23800138000", "11 digits"),
        (PHONE, "+8613800138000", "11 digits"),
        (ID_NO, "110101199013071234", "ID card"),
        (ID_NO, "E12345678", "ID card"),
        (USER, "", "user_id"),
        (USER, " u1", "user_id"),
        (USER, "u\u200b1", "user_id"),
        (USER, "u" * 65, "user_id"),
    ],
)
def test_what_can_be_no_such_value_is_refused_and_not_repeated(kind: BlockKind, typed: str, must_be: str) -> None:
    with pytest.raises(BlockValueError, match=must_be) as refused:
        blocked_value(kind, typed)
    assert not typed or typed not in str(refused.value)


def test_an_id_number_may_be_of_another_paper_and_nothing_else_has_one() -> None:
    assert blocked_value(ID_NO, "e12345678", IdType.PASSPORT).value == "E12345678"
    with pytest.raises(BlockValueError, match="id_no alone"):
        blocked_value(PHONE, "13800138000", IdType.PASSPORT)
