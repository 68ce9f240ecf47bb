"""Which addresses notifications may go to.

The names of an endpoint are in the hands of whoever runs it, so what they resolve to decides, not how they look.
Addresses that carry another address inside (IPv4-mapped, NAT64, 6to4) count as the one inside.
"""

from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

REMEMBERED_ADDRESSES = 4096


class Place(Enum):
    """Where an address leads."""

    PUBLIC = "public"
    PRIVATE = "private"
    """Loopback, private, shared (CGNAT) and other non-global addresses: only for endpoints that allow it."""
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
    "fec0::/10",  # site-local, deprecated, which Python calls global
    "::1/128",
)
NAT64 = IPv6Network("64:ff9b::/96")
COMPATIBLE = IPv6Network("::/96")


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
    return Place.PUBLIC if address.is_global else Place.PRIVATE


def is_allowed(text: str, allow_private: bool) -> bool:
    """Whether an endpoint may be reached at this address."""
    place = place_of(text)
    return place is Place.PUBLIC or (place is Place.PRIVATE and allow_private)


def _within(address: IPv4Address | IPv6Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in networks)


def _inside(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in NAT64 or address in COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
