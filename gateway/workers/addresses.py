"""Which addresses notifications may go to.

The names of an endpoint are in the hands of whoever runs it, so what they resolve to decides, not how they look.
Addresses that carry another address inside (IPv4-mapped, -compatible and -translated, NAT64, 6to4) count as the one
inside.
"""

from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

REMEMBERED_ADDRESSES = 4096


class Place(Enum):
    """Where an address leads."""

    PUBLIC = "public"
    PRIVATE = "private"
    """Loopback, private, shared (CGNAT) and other special addresses: only for endpoints that allow it."""
    NEVER = "never"
    """Metadata, link-local, multicast, unspecified, reserved: for nobody."""


def _networks(*texts: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in texts)


NEVER = _networks(
    "0.0.0.0/8",  # "this host": Linux connects 0.0.0.0 to itself
    "169.254.0.0/16",  # link-local, with the metadata services of most clouds
    "100.100.100.200/32",  # metadata, Alibaba Cloud
    "168.63.129.16/32",  # platform services, Azure
    "192.0.0.192/32",  # metadata, Oracle Cloud
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    "::/128",
    "fe80::/10",  # link-local
    "fd00:ec2::254/128",  # metadata, AWS
    "fd20:ce::254/128",  # metadata, Google Cloud
    "fd00:42::42/128",  # metadata, Scaleway
    "ff00::/8",  # multicast
    "64:ff9b:1::/48",  # local NAT64 (RFC 8215): what is inside depends on that network
)
PRIVATE = _networks(
    # IANA IPv4 Special-Purpose Address Registry, but for what is globally reachable and for what stands in NEVER.
    "10.0.0.0/8",
    "100.64.0.0/10",  # shared (CGNAT)
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",  # protocol assignments
    "192.0.2.0/24",  # documentation
    "192.88.99.0/24",  # 6to4 relays, deprecated
    "192.168.0.0/16",
    "198.18.0.0/15",  # benchmarking
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    # IANA IPv6 Special-Purpose Address Registry, in the same way.
    "::1/128",
    "100::/63",  # discard, dummy
    "2001::/23",  # protocol assignments, Teredo among them
    "2001:db8::/32",  # documentation
    "3fff::/20",  # documentation
    "5f00::/16",  # segment routing
    "fc00::/7",  # unique local
    "fec0::/10",  # site-local, deprecated
)
"""Written out, since libraries have each their own idea of what is global."""
UNICAST = IPv6Network("2000::/3")
"""All that IANA has given out for global unicast: what lies elsewhere is reserved."""
NAT64 = IPv6Network("64:ff9b::/96")
COMPATIBLE = IPv6Network("::/96")
TRANSLATED = IPv6Network("::ffff:0:0:0/96")


@lru_cache(REMEMBERED_ADDRESSES)
def place_of(text: str) -> Place:
    """Where the address leads. Whatever is not written as an address leads nowhere anybody may go."""
    try:
        address = ip_address(text)
    except ValueError:
        return Place.NEVER
    if isinstance(address, IPv6Address):
        # A zone is the sender's affair and hides the address from membership tests.
        address = IPv6Address(int(address))
    if _within(address, NEVER):
        return Place.NEVER
    if _within(address, PRIVATE):
        return Place.PRIVATE
    inside = _inside(address)
    if inside is not None:
        return place_of(str(inside))
    return Place.PUBLIC if isinstance(address, IPv4Address) or address in UNICAST else Place.PRIVATE


def is_allowed(text: str, allow_private: bool) -> bool:
    """Whether an endpoint may be reached at this address."""
    place = place_of(text)
    return place is Place.PUBLIC or (place is Place.PRIVATE and allow_private)


def _within(address: IPv4Address | IPv6Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in networks)


def _inside(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in NAT64 or address in COMPATIBLE or address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
