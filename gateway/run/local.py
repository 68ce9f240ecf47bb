"""What a data folder keeps for a gateway on one machine: its database, key ring, and the samples' secrets."""

import base64
import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import SecretStr

from gateway.database_url import where
from gateway.settings import Settings
from gateway.storage.server.embedded import DataFolderError, EmbeddedPostgres, has_cluster, running_url
from gateway.storage.server.keeping import kept

__all__ = [
    "LocalError",
    "UnreachableError",
    "database",
    "has_samples",
    "owned_database",
    "sample_environment",
    "with_local_secrets",
]

CARD_KEYS, ORDER_KEY, RECEIVER_SECRET = "card.keys", "order.key", "receiver.secret"
KEY_BYTES, SECRET_BYTES = 32, 24
PG_HINT = "set SLUICE_DATABASE_URL, or SLUICE_DATA_DIR to the folder of the gateway that runs"


class LocalError(Exception):
    """Something on this machine is in the way. The message says what to do."""


class UnreachableError(LocalError):
    """The database of SLUICE_DATABASE_URL cannot be reached now."""


@contextlib.contextmanager
def owned_database(settings: Settings) -> Iterator[str]:
    """The URL of the named server, or of one of our own that runs as long as the context.

    Raises UnreachableError when the named server cannot be reached, DataFolderError when our own is not to be had.
    """
    if settings.database_url is not None:
        with _reached(settings.database_url):
            yield settings.database_url
        return
    with EmbeddedPostgres(settings.data_dir) as server, kept(server):
        yield server.url


@contextlib.contextmanager
def database(settings: Settings, *, make: bool = True) -> Iterator[str]:
    """As `owned_database`, but a server that another command runs on the data folder is used as it is.

    With `make=False` a folder without a database is a mistake (LocalError): a new one has nothing to look at.
    """
    url = None if settings.database_url else running_url(settings.data_dir)
    if url is not None:
        yield url
        return
    if not make and settings.database_url is None and not has_cluster(settings.data_dir):
        raise LocalError(
            f"there is no database in {settings.data_dir.expanduser().resolve()}: "
            "set SLUICE_DATA_DIR to the folder of a sluice, or make one with: sluice migrate"
        )
    with owned_database(settings) as own:
        yield own


@contextlib.contextmanager
def _reached(url: str) -> Iterator[None]:
    """Say of a named server that cannot be reached where it was looked for; never its user or password."""
    try:
        yield
    except BrokenPipeError:  # whoever read our output has gone: not the server
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        known = error.errno is not None and error.errno > 0
        reason = os.strerror(error.errno or 0) if known else error.strerror or str(error) or "no answer"
        raise UnreachableError(
            f"the database of SLUICE_DATABASE_URL cannot be reached at {where(url)} ({reason}): is the server up?"
        ) from error


def with_local_secrets(settings: Settings) -> Settings:
    """The settings with all keys: the environment's, else (not in production) the data folder's, each made once."""
    if settings.env == "production":
        return settings
    folder = settings.data_dir.expanduser().resolve()
    kept = {}
    if settings.card_keys is None:
        kept["card_keys"] = SecretStr(_kept(folder / CARD_KEYS, lambda: f"1:{_new_key()}"))
    if settings.order_key is None:
        kept["order_key"] = SecretStr(_kept(folder / ORDER_KEY, _new_key))
    return settings.model_copy(update=kept) if kept else settings


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def sample_environment(settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """What the sample catalogue's references need: `given`, and what the data folder knows beyond it."""
    folder = settings.data_dir.expanduser().resolve()
    secret = _kept(
        folder / RECEIVER_SECRET, lambda: "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    )
    samples = {
        "SLUICE_SANDBOX_PORT": str(settings.sandbox_port),
        "SLUICE_RECEIVER_PORT": str(settings.receiver_port),
        "SLUICE_SANDBOX_KEYS": str(folder / "sandbox" / "keys"),
        "SLUICE_RECEIVER_SECRET": secret,
    }
    return samples | dict(given)


def has_samples(settings: Settings) -> bool:
    """Whether the data folder has the samples' secrets already."""
    return settings.env != "production" and (settings.data_dir.expanduser().resolve() / RECEIVER_SECRET).exists()


def _kept(path: Path, make: Callable[[], str]) -> str:
    """The text of a secret file (mode 0600), made when it is missing."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    except PermissionError as error:
        raise LocalError(f"{path} cannot be read by this user: {PG_HINT}") from error
    try:
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        text = make()
        new = path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
    except OSError as error:
        raise DataFolderError(f"{path} cannot be written ({error.strerror}): set SLUICE_DATA_DIR") from error
    return text
