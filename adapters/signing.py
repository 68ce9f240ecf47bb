"""RSA signatures and pinned certificate chains, as PSPs use them. Errors never contain key material."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1 as _SHA1
from cryptography.hazmat.primitives.hashes import SHA256 as _SHA256
from cryptography.hazmat.primitives.hashes import HashAlgorithm
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
    "sha256_hex",
]

SHA1: HashAlgorithm = _SHA1()  # noqa: S303  the older PSP protocols sign with nothing else
SHA256: HashAlgorithm = _SHA256()

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
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
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


def sha256_hex(text: bytes) -> str:
    """SHA-256 as lowercase hex."""
    return sha256(text).hexdigest()


class PinnedChain:
    """Certificates believed because a pinned middle CA issued them, itself issued by a pinned root.

    `common_name` must be the certificate's CN or one whole `@` part of it (Chinese CAs write `041@Z12@owner`): the
    middle CA issues to merchants too, and one whose name merely contained the PSP's could sign for it. Raises
    SigningError when the two CAs do not fit.
    """

    def __init__(self, root_pem: str, middle_pem: str, common_name: str) -> None:
        if not common_name:
            raise SigningError("the signer's common name must not be empty")
        self._root, self._middle = load_certificate(root_pem), load_certificate(middle_pem)
        self._common_name = common_name
        self._remembered: OrderedDict[str, x509.Certificate] = OrderedDict()
        if not (_issued(self._root, self._root) and _issued(self._middle, self._root)):
            raise SigningError("the middle certificate was not issued by the root")

    def public_key(self, pem: str, at: datetime) -> rsa.RSAPublicKey:
        """The public key of a certificate that is good at the time `at`. Raises SigningError."""
        certificate = self._remembered.get(pem) or self._remember(pem)
        if not _valid_at((certificate, self._middle, self._root), at):
            raise SigningError("a certificate of the chain is not valid at this time")
        return _rsa_key(certificate)

    def _remember(self, pem: str) -> x509.Certificate:
        """Check what never changes, and keep it: parsing and two RSA checks cost more than a signature."""
        certificate = load_certificate(pem)
        if not _issued(certificate, self._middle):
            raise SigningError("the certificate was not issued by the pinned CA")
        if self._common_name not in _common_names(certificate):
            raise SigningError("the certificate belongs to somebody else")
        self._remembered[pem] = certificate
        if len(self._remembered) > CERTIFICATES_REMEMBERED:
            self._remembered.popitem(last=False)
        return certificate


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _common_names(certificate: x509.Certificate) -> set[str]:
    names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return {part for name in names for part in (name, *name.split("@"))}


def _valid_at(certificates: Iterable[x509.Certificate], at: datetime) -> bool:
    return all(one.not_valid_before_utc <= at <= one.not_valid_after_utc for one in certificates)


def _rsa_key(certificate: x509.Certificate) -> rsa.RSAPublicKey:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise SigningError("the certificate's key is not RSA")
    return key
