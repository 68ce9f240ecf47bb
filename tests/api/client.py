"""A client that sends what it is told to and keeps the whole answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp.test_utils import TestClient
from multidict import CIMultiDictProxy

from tests.api.fakes import KEY


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def problem(self) -> Any:
        """The body, which must be a problem in its whole form."""
        return self.problem_with()

    def problem_with(self, *more: str) -> Any:
        """A problem that has further members."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        problem = self.json
        assert set(problem) == {"type", "title", "status", "code", "detail", "errors", "request_id", *more}
        assert problem["status"] == self.status
        assert problem["request_id"] == self.headers["X-Request-Id"]
        return problem

    @property
    def fields(self) -> list[str]:
        return [error["field"] for error in self.problem["errors"]]


@dataclass(frozen=True)
class Client:
    """Requests with the app's key unless another one, or none, is said."""

    http: TestClient[Any, Any]

    async def get(self, path: str, *, key: str | None = KEY, **headers: str) -> Got:
        return await self.send("GET", path, key=key, headers=_named(headers))

    async def post(self, path: str, body: object = None, *, key: str | None = KEY, **headers: str) -> Got:
        json = {"Content-Type": "application/json"}
        return await self.send("POST", path, orjson.dumps(body), key=key, headers=json | _named(headers))

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = KEY,
        headers: Mapping[str, str] | None = None,
    ) -> Got:
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        async with self.http.request(method, path, data=body, headers=sent) as response:
            return Got(response.status, response.headers, await response.read())


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
