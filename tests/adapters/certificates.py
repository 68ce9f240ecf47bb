"""Keys and certificates made for one test run: a pinned root and middle CA, and who they certify."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

VALID_FROM = datetime(2026, 1, 1, tzinfo=UTC)
VALID_UNTIL = datetime(2027, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Identity:
    """A key with its certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


@cache
def identity(
    common_name: str,
    issuer: Identity | None = None,
    valid_from: datetime = VALID_FROM,
    valid_until: datetime = VALID_UNTIL,
    bits: int = 1024,
) -> Identity:
    """An identity issued by `issuer`, or by itself; the same one for the same arguments.

    Signing with 1024 bits takes a sixth of what it takes with 2048; TLS wants 2048.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid_from)
        .not_valid_after(valid_until)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
    return Identity(key, certificate)


RSA_WITH = bytes.fromhex("2a864886f70d0101")
"""The beginning of the OIDs of RSA signatures; the last byte says the hash."""
SHA256_BYTE, SHA1_BYTE, MD5_BYTE = b"\x0b", b"\x05", b"\x04"


def signed_anew(one: Identity, issuer: Identity, last_byte: bytes) -> Identity:
    """The same certificate under an older hash, which `cryptography` itself signs with no more."""
    old, written = one.certificate.tbs_certificate_bytes, one.certificate.public_bytes(serialization.Encoding.DER)
    new = old.replace(RSA_WITH + SHA256_BYTE, RSA_WITH + last_byte)
    signature = issuer.key.sign(new, padding.PKCS1v15(), hashes.SHA1())
    der = written.replace(old, new).replace(RSA_WITH + SHA256_BYTE, RSA_WITH + last_byte)
    return Identity(one.key, x509.load_der_x509_certificate(der.replace(one.certificate.signature, signature)))
