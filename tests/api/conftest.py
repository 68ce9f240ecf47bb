"""A running application on fakes, and a client of it."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.application import build_app
from tests.api.client import Client
from tests.api.fakes import FakeGateway


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
async def client(gateway: FakeGateway) -> AsyncIterator[Client]:
    async with TestClient(TestServer(build_app(gateway.api()))) as http:
        yield Client(http)
