"""The way out to endpoints: one POST, to an address that was checked, within bounded time and memory.

Two checks, because one does not see everything: the resolver refuses a *name* any of whose addresses is forbidden, and
the socket factory, through which every connection is made, refuses a forbidden *address*, so also the ones that were
written into the URL and never resolved. A connection goes to the address that was checked, there is no second lookup.
"""

import asyncio
import re
import socket
import string
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from urllib.parse import quote

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from yarl import URL

from gateway.connector import BoundedConnector, words_of
from gateway.flows.notify import Answer, NoAnswer, Reply
from gateway.workers.addresses import is_allowed

ANSWER_WITHIN_S = 10.0
"""From the name's lookup to the answer's headers."""
BODY_WITHIN_S = 1.0
BODY_MAX_BYTES = 4096
"""An answer's body is read up to here, only so that its connection can be used again; nobody looks at it."""
HEADER_MAX_BYTES = 8190
KEEP_ALIVE_S = 4.0
"""Less than the 5 s after which common servers drop an idle connection, so that no request meets the drop."""
CONNECTIONS_MAX = 4096
"""Over all endpoints; each has its own bound in the worker. This one only protects the process."""
ADDRESSES_KEPT_S = 10
LOOKUP_THREADS = 32
"""A name whose servers do not answer holds a thread for long; others must not wait for it."""
URLS_REMEMBERED = 1024

_BLANK = re.compile(r"[\x00-\x20\x7f]")
_PARTS = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a name, as text. Raises OSError when there are none."""


class AddressRefusedError(OSError):
    """An address that this endpoint may not be reached at."""


class UrlRefusedError(ValueError):
    """A URL that nothing is sent to. The message tells why, without the URL."""


@lru_cache(URLS_REMEMBERED)
def read_url(text: str) -> URL:
    """An endpoint's URL, sent byte for byte: http or https, a host, no user or password. Raises UrlRefusedError.

    Only what is not ASCII is encoded for the wire: in the host as punycode, elsewhere as the percent-escapes of UTF-8.
    """
    if _BLANK.search(text):
        raise UrlRefusedError("blanks or control characters")
    parts = _PARTS.match(text)
    if parts is None:
        raise UrlRefusedError("only http and https")
    scheme, authority, target = parts[1].lower(), parts[2], parts[3]
    if "@" in authority:
        raise UrlRefusedError("no credentials in the URL")
    target = quote(target if target.startswith("/") else f"/{target}", safe=string.punctuation)
    try:
        host = URL(f"{scheme}://{authority}/", encoded=authority.isascii())
        # The query stands in the path: as a query it would lose a "?" with nothing behind it.
        url = URL.build(scheme=scheme, authority=host.raw_authority, path=target, encoded=True)
        port = url.port
    except ValueError:
        raise UrlRefusedError("not a URL") from None
    if not url.raw_host or port == 0:
        raise UrlRefusedError("no host or no port")
    return url


class Egress:
    """Sends deliveries. Must be closed; connections are kept alive and shared by all endpoints.

    Endpoints that may be private have connections of their own: a pool is keyed by name, and a connection that one
    endpoint was allowed to make is not another's to use.
    """

    def __init__(self, lookup: Lookup | None = None) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")
        self._lookup = lookup or self._system_lookup
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def send(self, url: str, headers: Mapping[str, str], body: bytes, *, allow_private: bool) -> Reply:
        """POST `body` once. Never raises for what the endpoint or the network does."""
        try:
            target = read_url(url)
            response = await self._session(allow_private).post(
                target, data=body, headers=headers, allow_redirects=False
            )
        except UrlRefusedError as error:
            return NoAnswer(f"nothing was sent: {error}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return NoAnswer(_reason(error))
        reply = Answer(response.status, response.headers.get("Retry-After"))
        await _finish(response)
        return reply

    async def close(self) -> None:
        """Drop every connection."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _session(self, allow_private: bool) -> aiohttp.ClientSession:
        session = self._sessions.get(allow_private)
        if session is None:
            session = self._sessions[allow_private] = self._open(allow_private)
        return session

    def _open(self, allow_private: bool) -> aiohttp.ClientSession:
        connector = BoundedConnector(
            resolver=_CheckedResolver(self._lookup, allow_private),
            socket_factory=_checked_socket(allow_private),
            ttl_dns_cache=ADDRESSES_KEPT_S,
            limit=CONNECTIONS_MAX,
            keepalive_timeout=KEEP_ALIVE_S,
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers={"Content-Type": "application/json", "User-Agent": "Sluice", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=BODY_MAX_BYTES,
            max_line_size=HEADER_MAX_BYTES,
            max_field_size=HEADER_MAX_BYTES,
        )

    async def _system_lookup(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _system_addresses, host, port)


def _system_addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class _CheckedResolver(AbstractResolver):
    """Answers only what may be connected to: one forbidden address refuses the whole name."""

    def __init__(self, lookup: Lookup, allow_private: bool) -> None:
        self._lookup = lookup
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = await self._lookup(host, port)
        if not all(is_allowed(address, self._allow_private) for address in addresses):
            raise AddressRefusedError("address not allowed")
        found = [_resolved(host, address, port) for address in addresses]
        return [result for result in found if family in {socket.AF_UNSPEC, result["family"]}]

    async def close(self) -> None:
        """Nothing is kept open."""


def _resolved(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=numeric)


def _checked_socket(allow_private: bool) -> Callable[[AddrInfoType], socket.socket]:
    def make(found: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, sockaddr = found
        if not is_allowed(str(sockaddr[0]), allow_private):
            raise AddressRefusedError("address not allowed")
        return socket.socket(family, kind, protocol)

    return make


async def _finish(response: aiohttp.ClientResponse) -> None:
    """Read what little body there is; with more than that, or a slow one, the connection goes instead."""
    left = BODY_MAX_BYTES
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            while left > 0 and not response.content.at_eof():
                left -= len(await response.content.read(left))
    except (aiohttp.ClientError, TimeoutError, OSError):
        # The status has been read, and the status is the answer.
        left = 0
    if not response.content.at_eof():
        response.close()
    response.release()


def _reason(error: Exception) -> str:
    """Why there is no answer, in words that name no URL and no address."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match cause, error:
        case AddressRefusedError(), _:
            return "nothing was sent: address not allowed"
        case TimeoutError(), _:
            return f"no answer within {ANSWER_WITHIN_S:g} s"
        case _, aiohttp.ClientConnectorDNSError():
            return "nothing was sent: the name does not resolve"
        case _, aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "nothing was sent: TLS failed"
        case OSError(), aiohttp.ClientConnectorError():
            return f"no connection: {words_of(error)}"
        case _:
            return f"no readable answer: {words_of(error)}"
