"""Private keys with their certificates: made, and kept in files of a folder that their owner alone reads."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.x509.oid import NameOID

__all__ = [
    "Identity",
    "KeysUnreadableError",
    "new_identity",
    "read_certificate",
    "read_identity",
    "unreadable",
    "write",
    "write_identity",
]

KEY_BITS: Final = 2048
VALID_DAYS: Final = 3650


class KeysUnreadableError(Exception):
    """A key file is missing or broken; the message says which and what to do."""


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """A private key and the certificate that goes with it: `pem` is its text, `cert_id` its decimal serial number."""

    key: RSAPrivateKey
    certificate: x509.Certificate
    pem: str
    cert_id: str

    @classmethod
    def of(cls, key: RSAPrivateKey, certificate: x509.Certificate) -> Self:
        """Bring a key and its certificate together."""
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
        return cls(key, certificate, pem, str(certificate.serial_number))


def new_identity(common_name: str, issuer: Identity | None = None, *, is_ca: bool = False) -> Identity:
    """A new key with a certificate by `issuer`, or signed by itself."""
    key = generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Sluice sandbox"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(_key_usage(is_ca=is_ca), critical=True)
        .sign(key if issuer is None else issuer.key, hashes.SHA256())
    )
    return Identity.of(key, certificate)


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not is_ca,
        data_encipherment=not is_ca,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def write_identity(folder: Path, name: str, identity: Identity) -> None:
    """Write the certificate and the private key, both as PEM."""
    write(folder / f"{name}.cert.pem", identity.pem.encode())
    key = identity.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write(folder / f"{name}.key.pem", key)


def write(path: Path, content: bytes) -> None:
    """Write a file that its owner alone reads."""
    path.touch(mode=0o600)
    path.write_bytes(content)


def read_certificate(folder: Path, name: str) -> x509.Certificate:
    """The certificate of this name. Raises KeysUnreadableError."""
    path = folder / f"{name}.cert.pem"
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise unreadable(path) from error


def read_identity(folder: Path, name: str) -> Identity:
    """The key of this name with its certificate. Raises KeysUnreadableError."""
    path = folder / f"{name}.key.pem"
    try:
        key = serialization.load_pem_private_key(
            # Checking the primes takes longer than the rest of the start, and this program made the key itself.
            path.read_bytes(),
            password=None,
            unsafe_skip_rsa_key_validation=True,
        )
    except (OSError, ValueError) as error:
        raise unreadable(path) from error
    return Identity.of(cast("RSAPrivateKey", key), read_certificate(folder, name))


def unreadable(path: Path) -> KeysUnreadableError:
    """What to raise for a file that cannot be used."""
    return KeysUnreadableError(f"{path} is missing or broken; delete {path.parent} to make that set of keys anew")
