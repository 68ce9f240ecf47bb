"""The keys of the sample catalogue, which everybody knows: taken in development, refused in production at every call.

Not tested here: other wrong keys (test_problems.py), production's own token and key ring (tests/e2e).
"""

import base64
import tomllib
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields, replace
from importlib.resources import files
from typing import Any, Literal, cast
from uuid import UUID

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from gateway.api.admin.operators import Operators, operator_routes
from gateway.api.application import Api, build_app, routes_of
from gateway.api.http.routing import Route
from gateway.domain.catalogue import ApiKey, Catalogue, Merchant
from gateway.domain.catalogue_content import key_hash_of
from gateway.settings import SAMPLE_KEYS, Settings
from tests.api.client import Client, Got
from tests.api.fakes import ADMIN, MERCHANT, NOW, FakeGateway

OWN_KEY = "sk_live_of_this_merchant"
NOTHING = cast("Any", None)
_NEEDS: dict[str, Any] = dict.fromkeys((each.name for each in fields(Operators)), NOTHING)
ADMIN_ROUTES = operator_routes(Operators(**_NEEDS | {"clock": lambda: NOW, "new_id": lambda: UUID(int=1)}))
"""Nobody with a key gets past their door, so nothing stands behind them."""


def api_in(env: Literal["development", "production"]) -> Api:
    """An API in whose catalogue the sample keys stand beside a key of the merchant's own."""
    keys = tuple(
        ApiKey(MERCHANT, UUID(int=number), "shop", "", key_hash_of(key))
        for number, key in enumerate((*SAMPLE_KEYS, OWN_KEY))
    )
    snapshot = Catalogue(1, merchants=(Merchant(MERCHANT, "acme", "Acme"),), keys=keys)
    card_keys = SecretStr("1:" + base64.b64encode(bytes(32)).decode())
    settings = Settings(env=env, admin_token=SecretStr(ADMIN), card_keys=card_keys, order_key=SecretStr("A" * 44))
    return replace(FakeGateway().api(), settings=settings, catalogue=lambda: snapshot)


ROUTES = routes_of(api_in("development"), ADMIN_ROUTES)
APP_ROUTES = [route for route in ROUTES if route.scope == "app"]
CLOSED_ROUTES = [route for route in ROUTES if route.scope != "none"]


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


async def client_of(api: Api) -> AsyncIterator[Client]:
    async with TestClient(TestServer(build_app(api, ADMIN_ROUTES))) as http:
        yield Client(http)


@pytest.fixture
async def production() -> AsyncIterator[Client]:
    async for client in client_of(api_in("production")):
        yield client


@pytest.fixture
async def development() -> AsyncIterator[Client]:
    async for client in client_of(api_in("development")):
        yield client


async def call(client: Client, route: Route, key: str) -> Got:
    return await client.send(route.method, route.path.replace("{", "").replace("}", ""), key=key)


def test_every_key_of_the_sample_catalogue_is_known_as_one() -> None:
    sample = tomllib.loads(files("gateway").joinpath("samples/catalogue.toml").read_text("utf-8"))
    assert set(_keys_in(sample)) == set(SAMPLE_KEYS)


def _keys_in(node: Any, name: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        if name == "keys":
            yield node["key"]
        for inner_name, inner in node.items():
            yield from _keys_in(inner, inner_name)
    elif isinstance(node, list):
        for inner in node:
            yield from _keys_in(inner, name)


@pytest.mark.parametrize("route", CLOSED_ROUTES, ids=name_of)
async def test_production_refuses_every_sample_key_as_one_it_does_not_know(production: Client, route: Route) -> None:
    for key in SAMPLE_KEYS:
        got = await call(production, route, key)
        assert (got.status, got.problem["code"]) == (401, "unauthorized")
        assert 'error="invalid_token"' in got.headers["WWW-Authenticate"]
        assert key.encode() not in got.body
        unknown = await call(production, route, "sk_of_nobody")
        assert unknown.problem["detail"] == got.problem["detail"]


@pytest.mark.parametrize("route", APP_ROUTES, ids=name_of)
async def test_production_takes_a_key_of_its_own(production: Client, route: Route) -> None:
    assert (await call(production, route, OWN_KEY)).status not in (401, 403)


@pytest.mark.parametrize("route", APP_ROUTES, ids=name_of)
async def test_development_takes_every_sample_key(development: Client, route: Route) -> None:
    for key in SAMPLE_KEYS:
        assert (await call(development, route, key)).status not in (401, 403)


@pytest.mark.parametrize("route", [r for r in CLOSED_ROUTES if r.scope == "admin"], ids=name_of)
async def test_no_key_opens_an_admin_call(production: Client, development: Client, route: Route) -> None:
    assert (await call(production, route, OWN_KEY)).status == 403
    for key in SAMPLE_KEYS:
        assert (await call(development, route, key)).status == 403
