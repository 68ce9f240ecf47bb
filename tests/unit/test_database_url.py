"""How the address of a database is read: hosts, sockets, passwords, and what is refused.

What asyncpg makes of it is told by asyncpg itself. Not tested here: connecting (tests/storage/test_any_server).
"""

from typing import Any

import pytest
from asyncpg.connect_utils import _parse_connect_dsn_and_args as as_asyncpg_reads
from sqlalchemy import make_url

from gateway.database_url import DatabaseUrlError, one_per_host, where, with_database, with_driver

HOSTS = "postgresql://user:hidden@one:5432,two:5433/sluice"
OF_CONNECT = (
    *("dsn", "host", "port", "user", "password", "passfile", "database", "ssl", "service", "servicefile", "direct_tls"),
    *("server_settings", "target_session_attrs", "krbsrvname", "gsslib"),
)


def read(url: str) -> tuple[list[Any], Any]:
    addresses, parameters = as_asyncpg_reads(**dict.fromkeys(OF_CONNECT) | {"dsn": url})
    return addresses, parameters


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        (HOSTS, [("one", 5432), ("two", 5433)]),
        ("postgresql://one,two:7/sluice", [("one", 5432), ("two", 7)]),
        ("postgresql://[::1]:6,[fe80::1]/sluice", [("::1", 6), ("fe80::1", 5432)]),
        ("postgresql://user@/sluice?host=one,two&port=5,6", [("one", 5), ("two", 6)]),
        ("postgresql://user@/sluice?host=one:5,two", [("one", 5), ("two", 5432)]),
        ("postgresql://user@/sluice?host=/run/pg&port=6", ["/run/pg/.s.PGSQL.6"]),
        ("postgresql+asyncpg://user@/sluice?host=/run/with%20blank", ["/run/with blank/.s.PGSQL.5432"]),
        ("postgresql://user@%2Frun%2Fpg:6/sluice", ["/run/pg/.s.PGSQL.6"]),
        ("postgresql://user@one/sluice", [("one", 5432)]),
    ],
)
def test_every_host_is_tried_in_its_turn(url: str, addresses: list[Any]) -> None:
    assert [read(one)[0] for one in one_per_host(url)] == [[address] for address in addresses]


@pytest.mark.parametrize("written", ["p%40ss%3A%2F%3F%23%25", "p@ss:%2F%3F%23%25"])
@pytest.mark.parametrize("hosts", ["one", "one:5432,two"])
def test_a_password_may_have_any_sign(written: str, hosts: str) -> None:
    for one in one_per_host(f"postgresql://us%40er:{written}@{hosts}/sluice"):
        parameters = read(one)[1]
        assert (parameters.user, parameters.password, parameters.database) == ("us@er", "p@ss:/?#%", "sluice")


def test_of_several_hosts_one_that_takes_writes_is_wanted_unless_the_url_says_otherwise() -> None:
    assert {read(one)[1].target_session_attrs.value for one in one_per_host(HOSTS)} == {"read-write"}
    assert {read(one)[1].target_session_attrs.value for one in one_per_host(f"{HOSTS}?target_session_attrs=any")} == {
        "any"
    }


def test_tls_and_settings_of_the_server_are_handed_on() -> None:
    (one,) = one_per_host("postgresql://host/sluice?sslmode=require&search_path=pay&options=-c%20jit%3Don")
    parameters = read(one)[1]
    assert parameters.sslmode.name == "require"
    assert parameters.server_settings == {"search_path": "pay", "options": "-c jit=on"}


@pytest.mark.parametrize("url", [HOSTS, "postgresql://user@/sluice?host=/run/pg", "postgresql://[::1],two:7/sluice"])
def test_sqlalchemy_reads_it_too(url: str) -> None:
    assert make_url(with_driver(url)).database == "sluice"
    assert one_per_host(with_driver(url)) == one_per_host(url)


def test_another_database_of_the_server_has_the_same_address() -> None:
    assert with_database(HOSTS, "other") == HOSTS.replace("/sluice", "/other")
    embedded = "postgresql+asyncpg://postgres@/{}?host=/run/pg"
    assert with_database(embedded.format("sluice"), "other") == embedded.format("other")


def test_where_it_leads_is_told_without_user_and_password() -> None:
    assert where(HOSTS) == "one, port 5432 or two, port 5433"
    assert where("postgresql://[::1]/sluice") == "::1, port 5432"
    assert where("postgresql:///sluice") == "localhost, port 5432"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://user:hidden@host:door/sluice", "must be a URL such as"),
        ("postgresql://user:hidden@host:0/sluice", "must be a URL such as"),
        ("postgresql://user:hidden@one:5432,two:70000/sluice", "must be a URL such as"),
        ("postgresql://user:hidden@[::1/sluice", "must be a URL such as"),
        ("postgresql://user:12/hidden@host/sluice", "write %23 for #, %2F for /"),
        ("postgresql://user:12#hidden@host/sluice", "write %23 for #, %2F for /"),
        ("postgresql://user:hidden@host/sluice?sslmode=hidden", "use one of disable, allow, prefer, require"),
        ("postgresql://user:hidden@host/sluice?target_session_attrs=standby", "target_session_attrs=read-write"),
        ("postgresql://user:hidden@host/sluice?channel_binding=require", "takes no channel_binding: leave it out"),
        ("postgresql://user:hidden@host/sluice?nothing", "not name=value"),
        ("postgresql://user:hidden@/sluice?host=one,two,three&port=5,6", "one port, or one for each host"),
    ],
)
def test_what_cannot_be_used_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(DatabaseUrlError) as refused:
        one_per_host(url)
    assert says in str(refused.value)
    assert "hidden" not in str(refused.value)
