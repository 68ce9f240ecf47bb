"""RSA signatures and pinned certificate chains, as PSPs use them. Errors never contain key material."""

import warnings
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA1 as _SHA1
from cryptography.hazmat.primitives.hashes import SHA256 as _SHA256
from cryptography.hazmat.primitives.hashes import Hash, HashAlgorithm
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

__all__ = [
    "SHA1",
    "SHA256",
    "PinnedChain",
    "SigningError",
    "load_certificate",
    "load_private_key",
    "load_public_key",
    "rsa_sign",
    "rsa_verify",
    "rsa_verify_pieces",
    "sha256_hex",
]

SHA1: HashAlgorithm = _SHA1()  # noqa: S303  the older PSP protocols sign with nothing else
SHA256: HashAlgorithm = _SHA256()

HASHES = frozenset({"sha1", "sha256", "sha384", "sha512"})
"""Hashes that a pinned CA may sign with."""
CERTIFICATES_REMEMBERED = 16
MAX_PEM_CHARS = 16_384


class SigningError(ValueError):
    """A key or a certificate cannot be used; the message says which rule it breaks, never its content."""


def load_private_key(pem: str) -> rsa.RSAPrivateKey:
    """Read an unencrypted RSA private key in PEM. Raises SigningError."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise SigningError("not an unencrypted private key in PEM") from None  # the parser's words may quote the key
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SigningError("not an RSA private key")
    return key


def load_public_key(pem: str) -> rsa.RSAPublicKey:
    """Read an RSA public key, or the public key of a certificate, in PEM. Raises SigningError."""
    if "CERTIFICATE" in pem:
        return _rsa_key(load_certificate(pem))
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, TypeError):
        raise SigningError("not a public key in PEM") from None  # the parser's words may quote the key
    if not isinstance(key, rsa.RSAPublicKey):
        raise SigningError("not an RSA public key")
    return key


def load_certificate(pem: str) -> x509.Certificate:
    """Read one X.509 certificate in PEM. Raises SigningError."""
    if len(pem) > MAX_PEM_CHARS:
        raise SigningError("the certificate is too long")
    try:
        with warnings.catch_warnings():
            # Of oddities that older certificates have, such as a serial number that is not positive.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, x509.InvalidVersion):
        raise SigningError("not a certificate in PEM") from None  # the parser's words may quote the key


def rsa_sign(key: rsa.RSAPrivateKey, text: bytes, digest: HashAlgorithm) -> bytes:
    """Sign with PKCS#1 v1.5, the padding that every protocol here names."""
    return key.sign(text, padding.PKCS1v15(), digest)


def rsa_verify(key: rsa.RSAPublicKey, signature: bytes, text: bytes, digest: HashAlgorithm) -> bool:
    """Whether `signature` is the key's over `text` (PKCS#1 v1.5)."""
    try:
        key.verify(signature, text, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def rsa_verify_pieces(key: rsa.RSAPublicKey, signature: bytes, pieces: Iterable[bytes], digest: HashAlgorithm) -> bool:
    """The same over a text that is too big to be in memory as a whole."""
    hashed = Hash(digest)
    for piece in pieces:
        hashed.update(piece)
    try:
        key.verify(signature, hashed.finalize(), padding.PKCS1v15(), Prehashed(digest))
    except InvalidSignature:
        return False
    return True


def sha256_hex(text: bytes) -> str:
    """SHA-256 as lowercase hex."""
    return sha256(text).hexdigest()


@dataclass(frozen=True, slots=True)
class _Certified:
    """What a certificate says, read whole: its fields are parsed only when they are asked for, and may be broken."""

    key: rsa.RSAPublicKey
    valid_from: datetime
    valid_until: datetime
    names: frozenset[str]


class PinnedChain:
    """Certificates believed because a pinned middle CA issued them, itself issued by a pinned root.

    `common_name` must be the certificate's CN or one whole `@` part of it (Chinese CAs write `041@Z12@owner`): the
    middle CA issues to merchants too, and one whose name merely contained the PSP's could sign for it. Raises
    SigningError when the two CAs do not fit.
    """

    def __init__(self, root_pem: str, middle_pem: str, common_name: str) -> None:
        if not common_name:
            raise SigningError("the signer's common name must not be empty")
        root, self._middle = load_certificate(root_pem), load_certificate(middle_pem)
        self._common_name = common_name
        self._remembered: OrderedDict[str, _Certified] = OrderedDict()
        # The root itself is pinned: who signed it, and how, adds nothing.
        if not _issued(self._middle, root):
            raise SigningError("the middle certificate was not issued by the root")
        self._authorities = (_read(root), _read(self._middle))

    def public_key(self, pem: str, at: datetime) -> rsa.RSAPublicKey:
        """The public key of a certificate that is good at the time `at`. Raises SigningError."""
        certified = self._remembered.get(pem) or self._remember(pem)
        if not all(one.valid_from <= at <= one.valid_until for one in (certified, *self._authorities)):
            raise SigningError("a certificate of the chain is not valid at this time")
        return certified.key

    def _remember(self, pem: str) -> _Certified:
        """Check what never changes, and keep it: parsing and an RSA check cost more than a signature."""
        certificate = load_certificate(pem)
        if not _issued(certificate, self._middle):
            raise SigningError("the certificate was not issued by the pinned CA")
        certified = _read(certificate)
        if self._common_name not in certified.names:
            raise SigningError("the certificate belongs to somebody else")
        self._remembered[pem] = certified
        if len(self._remembered) > CERTIFICATES_REMEMBERED:
            self._remembered.popitem(last=False)
        return certified


def _read(certificate: x509.Certificate) -> _Certified:
    """Everything of a certificate that is used here. Raises SigningError."""
    try:
        return _Certified(
            _rsa_key(certificate),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            _common_names(certificate),
        )
    except SigningError:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SigningError("a certificate that cannot be read") from None


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` signed it: RSA over a hash of `HASHES`. Raises SigningError for another algorithm.

    SHA-1 is among them: what UnionPay published until July 2025 was signed with it, and the CAs here are pinned.
    """
    try:
        if certificate.issuer != issuer.subject:
            return False
        digest = certificate.signature_hash_algorithm
    except (ValueError, TypeError):
        raise SigningError("a certificate that cannot be read") from None
    except UnsupportedAlgorithm:
        digest = None
    if digest is None or digest.name not in HASHES:
        oid = certificate.signature_algorithm_oid
        raise SigningError(f"the certificate's signature algorithm {oid.dotted_string} is not supported here")
    return rsa_verify(_rsa_key(issuer), certificate.signature, certificate.tbs_certificate_bytes, digest)


def _common_names(certificate: x509.Certificate) -> frozenset[str]:
    names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return frozenset(part for name in names for part in (name, *name.split("@")))


def _rsa_key(certificate: x509.Certificate) -> rsa.RSAPublicKey:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise SigningError("the certificate's key cannot be read") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise SigningError("the certificate's key is not RSA")
    return key
