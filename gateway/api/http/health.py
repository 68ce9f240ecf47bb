"""Calls of those who run the gateway: is it alive, is it ready, what does it count."""

from prometheus_client import CONTENT_TYPE_LATEST

from gateway.api.http.answers import Health, ReadinessAnswer
from gateway.api.http.needs import Api
from gateway.api.http.routing import Answer, Call, Handler, Reply, Route

__all__ = ["health_routes"]

_TAGS = ("operations",)


def health_routes(api: Api) -> list[Route]:
    """The routes of health."""
    return [
        Route("GET", "/healthz", _healthz, "Liveness", _TAGS, {200: Answer(Health, "The process runs.")}, scope="none"),
        Route("GET", "/readyz", _readyz(api), "Readiness", _TAGS, scope="none", answers={
            200: Answer(ReadinessAnswer, "It can take payments."),
            503: Answer(ReadinessAnswer, "It cannot now; the fields say why."),
        }),
        Route("GET", "/metrics", _metrics(api), "Prometheus metrics", _TAGS, scope="none", answers={
            200: Answer(None, "Prometheus text format.", content_type="text/plain"),
        }),
    ]  # fmt: skip


async def _healthz(_call: Call) -> Reply:
    return Reply({"status": "ok"})


def _readyz(api: Api) -> Handler:
    async def readyz(_call: Call) -> Reply:
        now = await api.readiness()
        body = {
            "ready": now.ready,
            "database": now.database,
            "migrations": now.migrations,
            "ticks": {name: None if age_s is None else round(age_s, 3) for name, age_s in now.ticks.items()},
        }
        return Reply(body, status=200 if now.ready else 503)

    return readyz


def _metrics(api: Api) -> Handler:
    async def metrics(_call: Call) -> Reply:
        return Reply(api.metrics(), content_type=CONTENT_TYPE_LATEST)

    return metrics
