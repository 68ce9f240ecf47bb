"""Keys, signatures and pinned chains. Their use in a protocol is tested with that protocol's adapter."""

import pytest

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
from tests.adapters.certificates import Identity, identity
from tests.adapters.contract import LATER

ROOT = identity("Signing root")
MIDDLE = identity("Signing middle", ROOT)
OWNER = identity("owner", MIDDLE)
REPACKED = 3 * CERTIFICATES_REMEMBERED


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


def test_a_chain_without_an_owner_is_refused() -> None:
    with pytest.raises(SigningError):
        PinnedChain(ROOT.pem, MIDDLE.pem, "")


def test_the_memory_for_certificates_has_an_end() -> None:
    remembering = chain()
    for spaces in range(REPACKED):
        remembering.public_key(OWNER.pem + "\n" * spaces, LATER)
    assert len(remembering._remembered) == CERTIFICATES_REMEMBERED
