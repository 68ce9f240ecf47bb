"""Keys: what is sealed opens only where it belongs, prints and hashes do not depend on the ring, no error shows a key.

Not tested here: which rows are sealed, found and rewrapped (tests/storage).
"""

import base64
import hmac
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.cards import CardElements
from gateway.domain.identities import IdType
from gateway.storage.keys import DecryptionError, KeyRing, KeyRingError, OrderKey, UnknownKeyError, standing_back
from gateway.storage.keys.boxes import CardBox
from gateway.storage.keys.ring import version_of
from tests.keys import key, keys
from tests.unit.domain.samples import card_elements

OLD, BOTH, NEW = (keys(*numbers, primary=primary).ring for numbers, primary in (((1,), 1), ((1, 2), 2), ((2,), 2)))
CONTEXT = b"card-1"
MERCHANT, CARD, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
ELEMENTS = card_elements()


# --- the ring ---


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_what_is_sealed_opens_in_its_context(plain: bytes, context: bytes) -> None:
    blob = BOTH.encrypt(plain, context)
    assert BOTH.decrypt(blob, context) == plain
    assert BOTH.encrypt(plain, context) != blob


def test_it_opens_in_no_other_context() -> None:
    with pytest.raises(DecryptionError):
        BOTH.decrypt(BOTH.encrypt(b"plain", CONTEXT), b"card-2")


def test_altered_or_cut_anywhere_it_does_not_open() -> None:
    blob = BOTH.encrypt(b"plain", CONTEXT)
    altered = [blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in range(len(blob))]
    for broken in [*altered, *(blob[:size] for size in range(len(blob))), blob + b"\0"]:
        with pytest.raises(DecryptionError):
            BOTH.decrypt(broken, CONTEXT)


def test_every_key_opens_and_the_primary_seals() -> None:
    assert BOTH.decrypt(OLD.encrypt(b"plain", CONTEXT), CONTEXT) == b"plain"
    assert NEW.decrypt(BOTH.encrypt(b"plain", CONTEXT), CONTEXT) == b"plain"
    assert version_of(keys(1, 2, primary=1).ring.encrypt(b"plain", CONTEXT)) == 1


def test_without_a_primary_the_lowest_number_seals_so_adding_a_key_changes_nothing() -> None:
    assert keys(7).ring.primary == 7
    assert keys(7, 8).ring.primary == 7
    assert keys(8, 7, 10).ring.primary == 7


def test_a_key_that_left_the_ring_opens_nothing_and_is_named() -> None:
    with pytest.raises(UnknownKeyError, match="key 1 is not in the ring") as unknown:
        NEW.decrypt(OLD.encrypt(b"plain", CONTEXT), CONTEXT)
    assert unknown.value.number == 1


def test_the_first_versions_hash_is_made_by_the_key_it_names() -> None:
    assert BOTH.request_hash(b"body", 1) == OLD.request_hash(b"body", 1)
    assert BOTH.request_hash(b"body", 1) != BOTH.request_hash(b"body", 2)
    assert BOTH.request_hash(b"body", 2) != BOTH.request_hash(b"bodies", 2)
    assert NEW.request_hash(b"body", 1) is None


def test_uses_of_one_key_do_not_share_it() -> None:
    order_key = OrderKey.parse(key(1))
    hashes = {
        BOTH.request_hash(b"body", 1),
        order_key.request_hash(b"body"),
        hmac.digest(bytes([1]) * 32, b"body", "sha256"),
    }
    assert len(hashes) == 3
    text = b"%s:%s:%s" % (b"number", MERCHANT.bytes, ELEMENTS.card_no.encode())
    assert order_key.request_hash(text) != order_key.prints(MERCHANT, ELEMENTS).number


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least one key"),
        (" , ", "at least one key"),
        (key(1), "NUMBER:BASE64"),
        (f"x:{key(1)}", "NUMBER:BASE64"),
        (f"0:{key(1)}", "from 1 to 32767"),
        (f"32768:{key(1)}", "from 1 to 32767"),
        (f"-1:{key(1)}", "NUMBER:BASE64"),
        (f"1:{key(1)[:-1]}", "not base64"),
        (f"1:密{key(1)}", "not base64"),
        (f"1:{key(1)}!", "not base64"),
        ("1:", "0 bytes"),
        (f"1:{base64.b64encode(b'k' * 31).decode()}", "31 bytes"),
        (f"1:{key(1)},1:{key(2)}", "given twice"),
    ],
)
def test_a_ring_that_cannot_be_used_is_refused_without_showing_a_key(text: str, says: str) -> None:
    with pytest.raises(KeyRingError, match=says) as refused:
        KeyRing.parse(text)
    assert str(refused.value).startswith("SLUICE_CARD_KEYS: ")
    secrets = [key(1)[:10], key(2)[:10], base64.b64encode(b"k" * 31).decode()[:10]]
    assert not [secret for secret in secrets if secret in str(refused.value)]


def test_a_primary_that_is_not_in_the_ring_is_refused_with_the_variable_and_the_cure() -> None:
    with pytest.raises(
        KeyRingError, match=r"^SLUICE_CARD_PRIMARY: key 3 is not in the ring, which has 1, 2: .*3:BASE64"
    ):
        keys(1, 2, primary=3)


@pytest.mark.parametrize("text", ["", "x", key(1)[:-4], key(1) + "!"])
def test_an_order_key_that_cannot_be_used_is_refused_with_how_to_make_one(text: str) -> None:
    with pytest.raises(KeyRingError, match=r"^SLUICE_ORDER_KEY: .*head -c 32 /dev/urandom") as refused:
        OrderKey.parse(text)
    assert key(1)[:10] not in str(refused.value)


def test_keys_do_not_show_themselves() -> None:
    all_keys = keys(1, 2)
    box, _ = all_keys.new_box(MERCHANT, CARD)
    shown = f"{all_keys!r} {all_keys.ring.keys!r} {all_keys.order!r} {box!r}"
    for part in (one.request for one in all_keys.ring.keys.values()):
        assert repr(part)[2:-1] not in shown


# --- the order key ---


def test_prints_and_hashes_do_not_depend_on_the_ring() -> None:
    one, other = keys(1), keys(2, 3)
    assert one.order.prints(MERCHANT, ELEMENTS) == other.order.prints(MERCHANT, ELEMENTS)
    assert one.request_hash(b"body", 0) == other.request_hash(b"body", 0)
    assert one.request_hash(b"body", 0) != keys(1, order_key=key(3)).request_hash(b"body", 0)
    assert one.request_hash(b"body", 1) == one.ring.request_hash(b"body", 1)
    assert other.request_hash(b"body", 1) is None


def test_an_id_number_of_15_digits_has_the_prints_of_its_18() -> None:
    old, new = (replace(ELEMENTS, id_no=number) for number in ("110101900307777", "110101199003077774"))
    assert keys(1).order.prints(MERCHANT, old) == keys(1).order.prints(MERCHANT, new)
    assert keys(1).order.prints(MERCHANT, old) != keys(1).order.prints(MERCHANT, ELEMENTS)


@pytest.mark.parametrize("id_type", [each for each in IdType if each is not IdType.ID_CARD])
def test_the_same_number_of_another_paper_is_another_card_and_opens_as_what_it_was(id_type: IdType) -> None:
    paper = replace(ELEMENTS, id_type=id_type)
    before, after = (keys(1).order.prints(MERCHANT, card) for card in (ELEMENTS, paper))
    assert (before.card != after.card, before.id_no != after.id_no) == (True, True)
    assert (before.number, before.phone) == (after.number, after.phone)
    box, _ = keys(1).new_box(MERCHANT, CARD)
    assert box.open_elements(box.seal_elements(paper)) == paper
    assert box.open_elements(box.seal_elements(ELEMENTS)) == ELEMENTS


@pytest.mark.parametrize("field", ["card_no", "holder_name", "id_no", "phone"])
def test_every_element_tells_cards_apart(field: str) -> None:
    others: dict[str, Any] = {field: "other"}
    changed = replace(ELEMENTS, **others)
    before, after = (keys(1).order.prints(MERCHANT, card) for card in (ELEMENTS, changed))
    assert before.card != after.card
    alone = {"card_no": "number", "phone": "phone", "id_no": "id_no"}
    differ = {name for name in ("number", "phone", "id_no") if getattr(before, name) != getattr(after, name)}
    assert differ == {alone[field]} if field in alone else not differ


def test_equal_texts_of_different_meaning_and_of_different_merchants_have_different_prints() -> None:
    same = CardElements("13800138000", "x", "13800138000", "13800138000")
    prints = keys(1).order.prints(MERCHANT, same)
    assert len(set(prints)) == 4
    assert not set(prints) & set(keys(1).order.prints(OTHER, same))


# --- boxes: a card's own key ---


def test_a_card_comes_back_whole_under_its_own_key() -> None:
    box, wrapped = keys(1).new_box(MERCHANT, CARD)
    blob, agreement = box.seal_elements(ELEMENTS), box.seal_agreement("up", "token-1")
    assert (version_of(blob), version_of(agreement), version_of(wrapped)) == (0, 0, 1)
    again = keys(1).box(MERCHANT, CARD, wrapped)
    assert (again.open_elements(blob), again.open_agreement("up", agreement)) == (ELEMENTS, "token-1")
    assert ELEMENTS.card_no.encode() not in blob


def test_each_card_has_a_key_of_its_own_and_no_blob_is_made_twice() -> None:
    one, other = (keys(1).new_box(MERCHANT, CARD)[0] for _ in range(2))
    assert len({one.seal_elements(ELEMENTS) for _ in range(50)}) == 50
    with pytest.raises(DecryptionError, match="the card's own key"):
        other.open_elements(one.seal_elements(ELEMENTS))


def test_a_wrapped_key_and_what_it_seals_belong_to_their_row() -> None:
    box, wrapped = keys(1).new_box(MERCHANT, CARD)
    for merchant_id, card_id in ((OTHER, CARD), (MERCHANT, OTHER)):
        with pytest.raises(DecryptionError):
            keys(1).box(merchant_id, card_id, wrapped)
    agreement = box.seal_agreement("up", "token-1")
    for moved in (lambda: box.open_agreement("tl", agreement), lambda: box.open_elements(agreement)):
        with pytest.raises(DecryptionError):
            moved()


def test_rewrapping_changes_the_wrapping_and_nothing_else() -> None:
    box, wrapped = keys(1).new_box(MERCHANT, CARD)
    blob = box.seal_elements(ELEMENTS)
    anew = keys(1, 2, primary=2).rewrapped(MERCHANT, CARD, wrapped)
    assert version_of(anew) == 2
    assert keys(2).box(MERCHANT, CARD, anew).open_elements(blob) == ELEMENTS
    with pytest.raises(UnknownKeyError):
        keys(2).box(MERCHANT, CARD, wrapped)


def test_what_the_first_version_sealed_by_the_ring_opens_until_it_is_rewrapped() -> None:
    first = CardBox(OLD, MERCHANT, CARD, None)
    blob, agreement = first.seal_elements(ELEMENTS), first.seal_agreement("up", "token-1")
    assert blob[:2] == agreement[:2] == b"\0\1"
    assert OLD.decrypt(blob, CARD.bytes).decode().split("\x1f")[0] == ELEMENTS.card_no
    for box in (keys(1, 2).box(MERCHANT, CARD, None), keys(1, 2).new_box(MERCHANT, CARD)[0]):
        assert (box.open_elements(blob), box.open_agreement("up", agreement)) == (ELEMENTS, "token-1")
    assert (first.version, keys(1).new_box(MERCHANT, CARD)[0].version) == (1, 0)


def test_without_its_own_key_nothing_of_a_card_opens() -> None:
    box, _ = keys(1).new_box(MERCHANT, CARD)
    with pytest.raises(DecryptionError, match="gone"):
        keys(1).box(MERCHANT, CARD, None).open_elements(box.seal_elements(ELEMENTS))


# --- standing back ---


def test_a_missing_key_is_told_with_its_cure_and_not_for_every_order(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, object]] = []
    monkeypatch.setattr(standing_back.log, "error", lambda _, **said: told.append(said))
    monkeypatch.setattr(standing_back, "_said_at", {})
    for error in [UnknownKeyError(2)] * 5 + [UnknownKeyError(3), DecryptionError("altered")]:
        assert standing_back.stand_back(error).retry_after_s > 0
    assert [said["reason"] for said in told] == ["key 2 is not in the ring", "key 3 is not in the ring", "altered"]
    assert "put key 2 back into SLUICE_CARD_KEYS" in str(told[0]["cure"])
