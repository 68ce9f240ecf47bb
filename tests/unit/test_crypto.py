"""The key ring: what it seals opens only where it belongs, and no error shows a key.

Not tested here: which rows are sealed (tests/storage).
"""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.cards import CardElements
from gateway.storage.crypto import DecryptionError, KeyRing, KeyRingError, open_card, seal_card
from tests.unit.domain.samples import card_elements


def key(fill: int) -> str:
    """A test's key: never a real one."""
    return base64.b64encode(bytes([fill]) * 32).decode()


OLD, BOTH, NEW = (KeyRing.parse(text) for text in (f"1:{key(1)}", f"1:{key(1)}, 2:{key(2)}", f"2:{key(2)}"))
CONTEXT = b"card-1"


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


def test_an_old_key_still_opens_and_the_newest_seals() -> None:
    assert BOTH.decrypt(OLD.encrypt(b"plain", CONTEXT), CONTEXT) == b"plain"
    assert NEW.decrypt(BOTH.encrypt(b"plain", CONTEXT), CONTEXT) == b"plain"


def test_a_key_that_left_the_ring_opens_nothing_and_is_named() -> None:
    with pytest.raises(DecryptionError, match="key 1 is not in the ring"):
        NEW.decrypt(OLD.encrypt(b"plain", CONTEXT), CONTEXT)


def test_a_card_comes_back_whole() -> None:
    card = card_elements()
    blob = seal_card(BOTH, card, CONTEXT)
    assert open_card(BOTH, blob, CONTEXT) == card
    assert card.card_no.encode() not in blob


def test_a_fingerprint_is_found_under_every_live_key_newest_first() -> None:
    card = card_elements()
    assert BOTH.fingerprints(card) == NEW.fingerprints(card) + OLD.fingerprints(card)


@pytest.mark.parametrize("field", ["card_no", "holder_name", "id_no", "phone"])
def test_every_element_tells_cards_apart(field: str) -> None:
    card = card_elements()
    known = {name: getattr(card, name) for name in CardElements.__slots__}
    assert BOTH.fingerprints(CardElements(**known | {field: "other"})) != BOTH.fingerprints(card)


def test_a_request_hash_names_its_key_and_a_lost_key_has_none() -> None:
    assert BOTH.request_hash(b"body", 1) == OLD.request_hash(b"body", 1)
    assert BOTH.request_hash(b"body", 1) != BOTH.request_hash(b"body", 2)
    assert BOTH.request_hash(b"body", 2) != BOTH.request_hash(b"bodies", 2)
    assert NEW.request_hash(b"body", 1) is None


def test_uses_of_one_key_do_not_share_it() -> None:
    keys = BOTH.keys[1]
    assert len({keys.fingerprint, keys.request, bytes([1]) * 32}) == 3


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


def test_a_ring_shows_no_key() -> None:
    shown = f"{BOTH!r} {BOTH.keys!r}"
    derived = [part for keys in BOTH.keys.values() for part in (keys.fingerprint, keys.request)]
    assert not [part for part in derived if repr(part)[2:-1] in shown]
