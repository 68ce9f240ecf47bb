"""Keys, signatures and pinned chains. Their use in a protocol is tested with that protocol's adapter."""

import base64
import contextlib

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from adapters.signing import (
    CERTIFICATES_REMEMBERED,
    SHA1,
    SHA256,
    PinnedChain,
    SigningError,
    load_certificate,
    load_private_key,
    load_public_key,
    rsa_sign,
    rsa_verify,
)
from tests.adapters.certificates import MD5_BYTE, SHA1_BYTE, Identity, identity, signed_anew
from tests.adapters.contract import LATER
from tests.examples import examples

ROOT = identity("Signing root")
MIDDLE = identity("Signing middle", ROOT)
OWNER = identity("owner", MIDDLE)
REPACKED = 3 * CERTIFICATES_REMEMBERED
X509_V3 = b"\xa0\x03\x02\x01\x02"


def chain() -> PinnedChain:
    return PinnedChain(ROOT.pem, MIDDLE.pem, "owner")


@pytest.mark.parametrize("digest", [SHA1, SHA256])
def test_a_signature_verifies_with_its_text_its_key_and_its_digest_only(digest: object) -> None:
    key = load_private_key(OWNER.key_pem)
    signature = rsa_sign(key, b"text", digest)  # type: ignore[arg-type]
    assert rsa_verify(load_public_key(OWNER.pem), signature, b"text", digest)  # type: ignore[arg-type]
    assert not rsa_verify(load_public_key(OWNER.pem), signature, b"Text", digest)  # type: ignore[arg-type]
    assert not rsa_verify(load_public_key(ROOT.pem), signature, b"text", digest)  # type: ignore[arg-type]
    assert not rsa_verify(load_public_key(OWNER.pem), signature, b"text", SHA1 if digest is SHA256 else SHA256)


@pytest.mark.parametrize("load", [load_private_key, load_public_key, load_certificate])
@pytest.mark.parametrize("pem", ["", "secret-text", OWNER.key_pem.replace("A", "B"), OWNER.pem.replace("A", "B")])
def test_what_cannot_be_read_is_refused_without_being_quoted(load: object, pem: str) -> None:
    with pytest.raises(SigningError) as refused:
        load(pem)  # type: ignore[operator]
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert "secret-text" not in str(refused.value)


@pytest.mark.parametrize(
    "pem",
    [identity("owner").pem, identity("owner", ROOT).pem, identity("not the owner", MIDDLE).pem, "rubbish", ""],
    ids=["self-signed", "issued past the middle", "of another owner", "rubbish", "empty"],
)
def test_only_the_owner_certified_by_the_pinned_middle_is_believed(pem: str) -> None:
    with pytest.raises(SigningError):
        chain().public_key(pem, LATER)


@pytest.mark.parametrize(
    ("root", "middle"),
    [(MIDDLE, ROOT), (ROOT, OWNER), (identity("Signing root", None, LATER), MIDDLE)],
    ids=["swapped", "a middle that another middle issued", "another root of the same name"],
)
def test_authorities_that_do_not_fit_are_refused(root: Identity, middle: Identity) -> None:
    with pytest.raises(SigningError):
        PinnedChain(root.pem, middle.pem, "owner")


def test_a_chain_whose_certificates_are_signed_with_sha1_is_believed() -> None:
    # UnionPay's published certificates were, until July 2025.
    root, middle = signed_anew(ROOT, ROOT, SHA1_BYTE), signed_anew(MIDDLE, ROOT, SHA1_BYTE)
    owner = signed_anew(OWNER, MIDDLE, SHA1_BYTE)
    for pems in (
        (root.pem, middle.pem, owner.pem),
        (ROOT.pem, MIDDLE.pem, owner.pem),
        (root.pem, MIDDLE.pem, OWNER.pem),
    ):
        assert PinnedChain(pems[0], pems[1], "owner").public_key(pems[2], LATER) == OWNER.key.public_key()


def test_a_certificate_whose_old_signature_was_altered_is_not_believed() -> None:
    forged = signed_anew(OWNER, identity("a forger"), SHA1_BYTE)
    with pytest.raises(SigningError):
        chain().public_key(forged.pem, LATER)


def test_a_pinned_root_is_believed_whatever_it_was_signed_with() -> None:
    root = signed_anew(ROOT, ROOT, MD5_BYTE)
    assert PinnedChain(root.pem, MIDDLE.pem, "owner").public_key(OWNER.pem, LATER) == OWNER.key.public_key()


def test_a_signature_algorithm_that_is_not_supported_is_named() -> None:
    with pytest.raises(SigningError, match=r"1\.2\.840\.113549\.1\.1\.4 is not supported"):
        chain().public_key(signed_anew(OWNER, MIDDLE, MD5_BYTE).pem, LATER)


def test_a_certificate_of_an_unknown_version_is_refused() -> None:
    der = OWNER.certificate.public_bytes(serialization.Encoding.DER)
    assert der.count(X509_V3) == 1
    text = base64.encodebytes(der.replace(X509_V3, X509_V3[:-1] + b"\x09")).decode()
    with pytest.raises(SigningError):
        chain().public_key(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n", LATER)


def test_a_serial_number_that_is_not_positive_is_an_oddity_and_no_warning() -> None:
    der = OWNER.certificate.public_bytes(serialization.Encoding.DER)
    serial = OWNER.certificate.serial_number
    written = serial.to_bytes((serial.bit_length() + 8) // 8, "big")
    text = base64.encodebytes(der.replace(written, b"\x80" + written[1:])).decode()
    with pytest.raises(SigningError, match="not issued"):
        chain().public_key(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n", LATER)


@given(st.data())
@examples(100)
def test_whatever_is_done_to_a_certificate_it_is_believed_or_refused_by_name(data: st.DataObject) -> None:
    der = bytearray(OWNER.certificate.public_bytes(serialization.Encoding.DER))
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    text = base64.encodebytes(bytes(der)).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"
    with contextlib.suppress(SigningError):
        assert chain().public_key(pem, LATER) == OWNER.key.public_key()


def test_a_chain_without_an_owner_is_refused() -> None:
    with pytest.raises(SigningError):
        PinnedChain(ROOT.pem, MIDDLE.pem, "")


def test_the_memory_for_certificates_has_an_end() -> None:
    remembering = chain()
    for spaces in range(REPACKED):
        remembering.public_key(OWNER.pem + "\n" * spaces, LATER)
    assert len(remembering._remembered) == CERTIFICATES_REMEMBERED
