"""Where a payer is sent back to: whose host that is, and the address with the payment's id. Pure.

Addresses are read as browsers read them (the WHATWG URL standard), so that what is allowed is where the payer goes.
"""

from typing import Final
from urllib.parse import unquote_plus

from ada_url import URL

__all__ = ["ReturnUrlError", "check_return_url", "host_in_one_form", "origin_of", "with_parameter", "with_payment"]

PARAMETER: Final = "payment"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class ReturnUrlError(ValueError):
    """An address that payers are not sent to; its text says why, and the cure."""


def host_in_one_form(text: str) -> str:
    """A host, with its port where that is not the scheme's: `shop.example`, `shop.example:8443`. Raises ValueError."""
    parsed = URL(f"https://{text}")
    if parsed.host == "" or parsed.pathname != "/" or parsed.search or parsed.hash or parsed.username:
        raise ValueError("must be a host, with a port if it is not the usual one")
    return _place(parsed)


def check_return_url(text: str, hosts: frozenset[str], *, production: bool) -> None:
    """Raises ReturnUrlError unless payers may be sent there: https, to one of the app's hosts.

    Outside of production http to this machine itself will do, whatever is listed.
    """
    try:
        parsed = URL(text)
    except ValueError:
        raise ReturnUrlError("must be an https address") from None
    if parsed.username or parsed.password:
        raise ReturnUrlError("must not name a user")
    is_here = parsed.hostname.rstrip(".") in _LOOPBACK and not production
    if is_here and parsed.protocol in {"http:", "https:"}:
        return
    if parsed.protocol != "https:":
        raise ReturnUrlError("must be an https address")
    if _place(parsed) not in hosts:
        raise ReturnUrlError("is not on a host of this app: its return_hosts in the catalogue say which are")


def with_payment(return_url: str, payment_id: str) -> str:
    """The address with `payment=…`: in place of one that it has, before its fragment. The rest stays as it was."""
    return with_parameter(return_url, PARAMETER, payment_id)


def with_parameter(return_url: str, name: str, value: str) -> str:
    """The same for another parameter."""
    address, mark, fragment = return_url.partition("#")
    path, _, query = address.partition("?")
    kept = [part for part in query.split("&") if part and unquote_plus(part.partition("=")[0]) != name]
    return f"{path}?{'&'.join([*kept, f'{name}={value}'])}{mark}{fragment}"


def _place(parsed: URL) -> str:
    host = parsed.hostname.rstrip(".")
    return f"{host}:{parsed.port}" if parsed.port else host


def origin_of(url: str) -> str:
    """Scheme, host and port of an address: what a content security policy names."""
    return URL(url).origin
