"""Calls of those who run the gateway: is it alive, is it ready, what does it count."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST

from gateway.api.http.answers import AnswerModel
from gateway.api.http.needs import Readiness
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.objects.assumptions import assumption_object

__all__ = ["HealthCalls"]

TAGS = ("operations",)


class Health(AnswerModel):
    """The process runs."""

    status: Literal["ok"]


class ClockAnswer(AnswerModel):
    """The process's clock against the database's: seconds ahead of it (null: never measured), and how old that is."""

    right: bool
    offset_s: float | None
    measured_s_ago: float | None


class AssumedAnswer(AnswerModel):
    """An assumption that an account (`merchant.account`) is used with."""

    account: str
    name: str
    meaning: str
    by: Literal["account", "first_version"]


class ReadinessAnswer(AnswerModel):
    """Whether the process can take payments now.

    `ticks`: how many seconds ago each job last ran. `unusable_accounts`: `merchant.account`, whose settings cannot be
    used; nothing is sent there, and the other channels go on. `assumptions`: what is taken for true of PSPs though no
    public document says it.
    """

    ready: bool
    database: bool
    migrations: bool
    ticks: dict[str, float | None]
    clock: ClockAnswer
    unusable_accounts: list[str]
    assumptions: list[AssumedAnswer]


@dataclass(frozen=True, slots=True)
class HealthCalls:
    """The calls of health. `metrics`: Prometheus text."""

    readiness: Callable[[], Awaitable[Readiness]]
    metrics: Callable[[], bytes]

    def routes(self) -> list[Route]:
        """The routes of health."""
        return [
            Route("GET", "/healthz", self.healthz, "Liveness", TAGS, scope="none", answers={
                200: Answer(Health, "The process runs."),
            }),
            Route("GET", "/readyz", self.readyz, "Readiness", TAGS, scope="none", answers={
                200: Answer(ReadinessAnswer, "It can take payments."),
                503: Answer(ReadinessAnswer, "It cannot now; the fields say why."),
            }),
            Route("GET", "/metrics", self.counted, "Prometheus metrics", TAGS, scope="none", answers={
                200: Answer(None, "Prometheus text format.", content_type="text/plain"),
            }),
        ]  # fmt: skip

    async def healthz(self, _call: Call) -> Reply:
        return Reply({"status": "ok"})

    async def readyz(self, _call: Call) -> Reply:
        now = await self.readiness()
        body = {
            "ready": now.ready,
            "database": now.database,
            "migrations": now.migrations,
            "ticks": {name: _rounded(age_s) for name, age_s in now.ticks.items()},
            "clock": {
                "right": now.clock.is_right,
                "offset_s": _rounded(now.clock.offset_s),
                "measured_s_ago": _rounded(now.clock.age_s),
            },
            "unusable_accounts": list(now.unusable_accounts),
            "assumptions": [{"account": each.account} | assumption_object(each.assumption) for each in now.assumptions],
        }
        return Reply(body, status=200 if now.ready else 503)

    async def counted(self, _call: Call) -> Reply:
        return Reply(self.metrics(), content_type=CONTENT_TYPE_LATEST)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
