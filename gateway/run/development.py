"""`sluice run`: everything on one machine, from one command, in one data folder."""

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from itertools import combinations
from pathlib import Path
from urllib.request import Request, urlopen

from rich.console import Console
from rich.panel import Panel

from gateway.catalogue_file import read_catalogue
from gateway.run.commands import apply_sample
from gateway.run.keys import key_environment
from gateway.run.local import LocalError, has_samples, owned_database, sample_environment, with_local_secrets
from gateway.run.sample import Sample
from gateway.run.supervising import Family, console, free_port, require_port
from gateway.settings import SAMPLE_ADMIN_TOKEN, SAMPLE_API_KEY, Settings
from gateway.storage.server.migrate import upgrade

__all__ = [
    "Addresses",
    "announce",
    "environment_of",
    "first_curl",
    "refuse_production",
    "running_system",
    "sample_catalogue",
]

PORTS = ("port", "sandbox_port", "receiver_port")
ADDRESSES_FILE = "run.json"
REGISTERED = {"cpcn": "demo.cpcn_main", "lanmao": "demo.custody_main"}
"""Mock → account of the sample catalogue that it calls back."""
REGISTER_WITHIN_S = 10.0
SAMPLE_CARD = {
    "card_no": "6222020000000001230",
    "holder_name": "张三",
    "id_no": "11010519491231002X",
    "phone": "13800138000",
}
"""An ICBC debit card whose number and ID are well formed, of nobody; no magic tail of the sandbox."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is, without a slash at the end."""

    gateway: str
    sandbox: str
    receiver: str


def refuse_production(settings: Settings, command: str) -> None:
    """Raises LocalError in production: the samples' keys are public."""
    if settings.env == "production":
        raise LocalError(
            f"`sluice {command}` is for trying things: it uses public sample keys, and SLUICE_ENV is production. "
            "Use `sluice serve` there (docs/operations.md)"
        )


def sample_catalogue() -> Path:
    """The catalogue that `run` and `demo` put in force."""
    return Path(str(resources.files("gateway"))) / "samples" / "catalogue.toml"


def with_ports(settings: Settings) -> Settings:
    """The settings with a free port wherever 0 asks for one. Raises PortInUseError for one that is taken, LocalError
    when two are the same.
    """
    _refuse_equal_ports(settings)
    ports = {name: getattr(settings, name) or free_port() for name in PORTS}
    require_port(settings.host, ports["port"], "SLUICE_PORT")
    require_port("127.0.0.1", ports["sandbox_port"], "SLUICE_SANDBOX_PORT")
    require_port("127.0.0.1", ports["receiver_port"], "SLUICE_RECEIVER_PORT")
    return settings.model_copy(update=ports)


def _refuse_equal_ports(settings: Settings) -> None:
    for one, other in combinations(PORTS, 2):
        port = getattr(settings, one)
        if port != 0 and port == getattr(settings, other):
            raise LocalError(
                f"SLUICE_{one.upper()} and SLUICE_{other.upper()} are both {port}: give each a port of its own, "
                "or 0 for a free one"
            )


@contextlib.contextmanager
def running_system(settings: Settings, *, quiet: bool = False) -> Iterator[tuple[Addresses, Family]]:
    """Database, sandbox, sample business system and gateway, healthy; all of them end with the context.

    Raises DataFolderError, PortInUseError, ChildEndedError, LocalError: each says what to do.
    """
    settings = with_ports(settings)
    folder = settings.data_dir.expanduser().resolve()
    with owned_database(settings) as url, Family(_nobody if quiet else console) as family:
        settings = with_local_secrets(settings.model_copy(update={"database_url": url}))
        environment = sample_environment(settings, {})
        addresses = Addresses(
            gateway=f"http://{reachable_host(settings.host)}:{settings.port}",
            sandbox=f"http://127.0.0.1:{settings.sandbox_port}",
            receiver=f"http://127.0.0.1:{settings.receiver_port}",
        )
        asyncio.run(upgrade(url))
        _start_around(family, folder, addresses, environment)
        _apply_sample(settings, url, environment)
        family.start_python(
            "gateway", ["-m", "gateway.run.cli", "serve"], _gateway_environment(settings, url, addresses)
        )
        family.wait_healthy(f"{addresses.gateway}/readyz")
        _register_callbacks(addresses)
        note = folder / ADDRESSES_FILE
        note.write_text(json.dumps({**asdict(addresses), "pids": family.pids}))
        try:
            yield addresses, family
        finally:
            note.unlink(missing_ok=True)


def _start_around(family: Family, folder: Path, addresses: Addresses, environment: Mapping[str, str]) -> None:
    sandbox_port, receiver_port = environment["SLUICE_SANDBOX_PORT"], environment["SLUICE_RECEIVER_PORT"]
    family.start_python("sandbox", ["-m", "sandbox", "--port", sandbox_port, "--data", str(folder / "sandbox")])
    receiver = ["-m", "sandbox.business_system", "--port", receiver_port, "--data", str(folder / "receiver")]
    shop = {
        "SLUICE_RECEIVER_SECRET": environment["SLUICE_RECEIVER_SECRET"],
        "SLUICE_RECEIVER_GATEWAY": addresses.gateway,
        "SLUICE_RECEIVER_KEY": SAMPLE_API_KEY,
        "SLUICE_RECEIVER_INBOX": f"{addresses.sandbox}/_sandbox/sms",
    }
    family.start_python("receiver", receiver, shop)
    # The keys that the catalogue refers to are there once the sandbox answers.
    family.wait_healthy(f"{addresses.sandbox}/_sandbox/health")
    family.wait_healthy(f"{addresses.receiver}/health")


def _register_callbacks(addresses: Addresses) -> None:
    """Some PSPs are told once where to call, and not with each order: here by the sandbox's control API."""
    for provider, account in REGISTERED.items():
        told = json.dumps({"url": f"{addresses.gateway}/callbacks/{account}"}).encode()
        request = Request(  # noqa: S310 -- an address of our own
            f"{addresses.sandbox}/_sandbox/{provider}/notice_url", told, {"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=REGISTER_WITHIN_S) as answer:  # noqa: S310 -- the same
            answer.read()


def _apply_sample(settings: Settings, url: str, environment: Mapping[str, str]) -> None:
    """Put the sample in force, unless somebody changed what is there; what was done is said in a line."""
    path = sample_catalogue()
    done = asyncio.run(apply_sample(url, settings, read_catalogue(path, environment)))
    if done is Sample.APPLIED:
        console("sluice", "the sample catalogue is in force")
    elif done is Sample.LEFT:
        ports = " ".join(f"{name}={environment[name]}" for name in ("SLUICE_SANDBOX_PORT", "SLUICE_RECEIVER_PORT"))
        folder = f"SLUICE_DATA_DIR={settings.data_dir.expanduser().resolve()}"
        console(
            "sluice",
            "the catalogue was changed since its sample was put in force, so it stays as it is, with its ports. "
            f"The sample again: {folder} {ports} sluice catalogue apply {path}",
        )


def reachable_host(host: str) -> str:
    """An address to call where the one to listen on means all of them."""
    return "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 -- compared, not listened on


def _gateway_environment(settings: Settings, url: str, addresses: Addresses) -> dict[str, str]:
    return {
        "SLUICE_DATABASE_URL": url,
        "SLUICE_HOST": settings.host,
        "SLUICE_PORT": str(settings.port),
        "SLUICE_PUBLIC_URL": settings.public_url or addresses.gateway,
        "SLUICE_LOG_FORMAT": "console" if sys.stderr.isatty() and settings.log_format == "auto" else "json",
        **key_environment(settings),
        "SLUICE_ADMIN_TOKEN": settings.admin_token.get_secret_value() if settings.admin_token else SAMPLE_ADMIN_TOKEN,
    }


def _nobody(_: str, __: str) -> None:
    """Keep a child's output to its last lines."""


def first_curl(gateway: str) -> str:
    """A command that makes a payment; its order number is new every time this is called."""
    order_no = f"first-{int(time.time())}-{secrets.token_hex(2)}"
    body = {
        "merchant_order_no": order_no,
        "scene": "withhold",
        "user_id": "u1",
        "amount": 10_000,
        "currency": "CNY",
        "card": SAMPLE_CARD,
    }
    return (
        f"curl -sS {gateway}/v1/withholds \\\n  -H 'Authorization: Bearer {SAMPLE_API_KEY}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -d '{json.dumps(body, ensure_ascii=False)}'"
    )


def announce(addresses: Addresses, settings: Settings, out: Console) -> None:
    """Print where everything is, and a first command."""
    admin = settings.admin_token.get_secret_value() if settings.admin_token else SAMPLE_ADMIN_TOKEN
    out.print(
        Panel.fit(
            f"shop        {addresses.receiver}   (open this first, and pay there)\n"
            f"mock PSPs   {addresses.sandbox}   (their SMS and books)\n"
            f"gateway     {addresses.gateway}   (docs at {addresses.gateway}/docs)\n"
            f"API key     {SAMPLE_API_KEY}\nadmin token {admin}\n"
            f"data        {settings.data_dir.expanduser().resolve()}\n\nCtrl-C ends everything.",
            title="Sluice runs",
        ),
        highlight=False,
    )
    out.print("A first payment:\n", highlight=False)
    out.file.write(first_curl(addresses.gateway) + "\n\n")
    out.file.flush()


def environment_of(settings: Settings) -> dict[str, str]:
    """`os.environ`, and where `sluice run` was here before what the sample catalogue refers to."""
    return sample_environment(settings, os.environ) if has_samples(settings) else dict(os.environ)
