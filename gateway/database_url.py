"""The address of a database as PostgreSQL's own programs write it: several hosts, sockets, TLS."""

from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

__all__ = ["DatabaseUrlError", "one_per_host", "where", "with_database", "with_driver", "without_driver"]

PLAIN, DRIVEN = "postgresql://", "postgresql+asyncpg://"
DEFAULT_PORT = 5432
PORTS = range(1, 65536)
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
WRITABLE = ("any", "primary", "read-write")
"""What `target_session_attrs` may ask for: whatever else it takes does not let itself be written to."""
OF_OTHERS = frozenset(
    (
        *("channel_binding", "client_encoding", "connect_timeout", "fallback_application_name", "gssencmode"),
        *("hostaddr", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval"),
        *("load_balance_hosts", "require_auth", "requirepeer", "sslcompression", "sslsni", "tcp_user_timeout"),
    )
)
"""What libpq knows and asyncpg does not: it would be taken for a setting of the server, which refuses it."""
LIKE_THIS = "must be a URL such as postgresql://user:password@host:5432/database"


class DatabaseUrlError(ValueError):
    """The URL cannot be used. The message says what to change, and holds nothing of it that may be a password."""


class _Parts(NamedTuple):
    user: str
    """With the password, as it stands there, and the `@`."""
    hosts: str
    path: str
    query: str


def _parts(url: str) -> _Parts:
    """Cut by hand: Python's own refuse several hosts, or some of them, by the version."""
    rest, _, query = without_driver(url).removeprefix(PLAIN).partition("?")
    authority, slash, path = rest.partition("/")
    if "#" in url or "@" in path:
        raise DatabaseUrlError(f"{LIKE_THIS}; in a password write %23 for #, %2F for /, %3F for ?, %40 for @")
    user, at, hosts = authority.rpartition("@")
    return _Parts(user + at, hosts, slash + path, query)


def without_driver(url: str) -> str:
    """The URL as asyncpg wants it."""
    return PLAIN + url.removeprefix(DRIVEN) if url.startswith(DRIVEN) else url


def with_driver(url: str) -> str:
    """The URL as SQLAlchemy wants it: hosts beyond one stand behind the question mark."""
    user, hosts, path, query = _parts(url)
    if "," in hosts:
        found = [_host_and_port(one) for one in hosts.split(",")]
        listed = {"host": ",".join(host for host, _ in found), "port": ",".join(str(port) for _, port in found)}
        query = "&".join(filter(None, (query, urlencode(listed, safe="/,[]:"))))
        hosts, path = "", path or "/"
    return f"{DRIVEN}{_quoted(user)}{hosts}{path}{query and '?'}{query}"


def with_database(url: str, name: str) -> str:
    """The address of another database of the same server."""
    user, hosts, _, query = _parts(url)
    scheme = url.partition("://")[0]
    return f"{scheme}://{user}{hosts}/{quote(name, safe='')}{query and '?'}{query}"


def one_per_host(url: str) -> tuple[str, ...]:
    """A URL for each host of a URL, in its order, for asyncpg; of several only one that takes writes will do.

    Raises DatabaseUrlError.
    """
    user, listed, path, behind = _parts(url)
    try:
        query = dict(parse_qsl(behind, strict_parsing=True, keep_blank_values=True)) if behind else {}
    except ValueError:
        raise DatabaseUrlError("has something behind the question mark that is not name=value") from None
    _check(query)
    hosts = _hosts(listed, query)
    rest = {name: value for name, value in query.items() if name not in {"host", "port"}}
    if len(hosts) > 1:
        rest.setdefault("target_session_attrs", "read-write")
    return tuple(_one(_quoted(user), host, port, path, rest) for host, port in hosts)


def where(url: str) -> str:
    """The hosts and ports, and nothing of a user or a password: `one, port 5432 or two, port 5433`."""
    _, listed, _, behind = _parts(url)
    hosts = _hosts(listed, dict(parse_qsl(behind)))
    return " or ".join(f"{host.strip('[]') or 'localhost'}, port {port}" for host, port in hosts)


def _one(user: str, host: str, port: int, path: str, query: dict[str, str]) -> str:
    authority = user
    if host.startswith("/"):  # a socket's folder: it cannot stand where hosts do
        query = {**query, "host": host, "port": str(port)}
    elif host:
        authority = f"{user}{host}:{port}"
    behind = urlencode(query, safe="/")
    return f"{PLAIN}{authority}{path}{behind and '?'}{behind}"


def _quoted(user: str) -> str:
    """What stands before the hosts, so that nobody takes a sign of the password for another part of the URL."""
    if not user:
        return ""
    name, colon, password = user.removesuffix("@").partition(":")
    return f"{quote(unquote(name), safe='')}{colon}{quote(unquote(password), safe='')}@"


def _check(query: dict[str, str]) -> None:
    if unknown := sorted(query.keys() & OF_OTHERS):
        raise DatabaseUrlError(f"takes no {unknown[0]}: leave it out")
    if query.get("sslmode", "prefer") not in SSL_MODES:
        raise DatabaseUrlError(f"has an sslmode that does not exist: use one of {', '.join(SSL_MODES)}")
    if query.get("target_session_attrs", "any") not in WRITABLE:
        raise DatabaseUrlError(f"must lead to a server that can be written: target_session_attrs={WRITABLE[-1]}")


def _hosts(listed: str, query: dict[str, str]) -> list[tuple[str, int]]:
    """The hosts with their ports. As for asyncpg, those before the path go before those behind the question mark."""
    if listed:
        return [_host_and_port(one) for one in listed.split(",")]
    hosts = query.get("host", "").split(",")
    ports = query["port"].split(",") if query.get("port") else []
    if not ports:
        return [(one, DEFAULT_PORT) if one[:1] in {"/", ""} else _host_and_port(one) for one in hosts]
    if len(ports) not in {1, len(hosts)}:
        raise DatabaseUrlError("must have one port, or one for each host")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return [(host, _port(port)) for host, port in zip(hosts, ports, strict=True)]


def _host_and_port(one: str) -> tuple[str, int]:
    if one.startswith("["):
        host, closes, port = one.partition("]")
        host += closes
    else:
        host, colon, port = one.partition(":")
        port = colon + port
    if one.startswith("[") != host.endswith("]") or port[:1] not in {"", ":"}:
        raise DatabaseUrlError(LIKE_THIS)
    return unquote(host), _port(port[1:]) if port[1:] else DEFAULT_PORT


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) not in PORTS:
        raise DatabaseUrlError(LIKE_THIS)
    return int(text)
