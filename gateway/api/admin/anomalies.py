"""Anomalies: what contradicts a final state, and what an operator made of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, PlainValidator, WithJsonSchema

from gateway.api.admin.fields import MAX_NAME, MAX_NOTE
from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.fields import PAGE, Lines, OneLine, PageSize, QueryModel, RequestModel, id_field, wrong
from gateway.api.http.problems import conflict, not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.anomalies import AnomalyResolvedError, RecordedAnomaly
from gateway.domain.catalogue import Catalogue
from gateway.domain.hearing import AnomalyKind
from gateway.domain.ids import ANOMALY, IdError, read
from gateway.objects.anomalies import anomaly_object

__all__ = ["Anomalies", "AnomalyCalls", "says_something"]

ANOMALIES = f"{MERCHANT}/anomalies"


class Anomalies(Protocol):
    """The books of anomalies: an `AnomalyStore`."""

    async def anomalies(
        self, merchant_id: UUID, limit: int, before: UUID | None = None, *, resolved: bool = False
    ) -> list[RecordedAnomaly]:
        """Those that are open, or those that were resolved, newest first, after the anomaly `before`."""
        ...

    async def resolve(
        self, merchant_id: UUID, anomaly_id: UUID, *, by: str, note: str, now: datetime
    ) -> RecordedAnomaly | None:
        """Note what an operator made of it; None: no such anomaly. Raises AnomalyResolvedError."""
        ...


def _flag(value: object) -> bool:
    if value in ("true", "false"):
        return value == "true"
    raise wrong("wrong_type", "must be true or false")


def says_something(value: str) -> str:
    """The text, unless it is blank."""
    if not value.strip():
        raise wrong("text", "must say something")
    return value


if TYPE_CHECKING:
    AnomalyId: TypeAlias = UUID
else:
    AnomalyId = id_field(ANOMALY)
Flag = Annotated[bool, PlainValidator(_flag), WithJsonSchema({"type": "boolean"})]


class AnomalySearch(QueryModel):
    """Anomalies, newest first: those that are open, or those that were resolved. `after` is the `next` before."""

    resolved: Flag = False
    limit: PageSize = PAGE
    after: AnomalyId | None = None


class Resolution(RequestModel):
    """What an operator made of an anomaly, for those who come later. It stays as it is."""

    note: Annotated[Lines, Field(min_length=1, max_length=MAX_NOTE), AfterValidator(says_something)]
    by: Annotated[
        OneLine, Field(min_length=1, max_length=MAX_NAME, description="who says so"), AfterValidator(says_something)
    ]


class AnomalyAnswer(BaseModel):
    """An observation that contradicts a final state of an object. The last three fields are null while it is open."""

    object: Literal["anomaly"]
    id: str
    object_id: Annotated[str, Field(description="what it is about: pay_… or ref_…")]
    kind: AnomalyKind
    detail: str
    source: str
    found_at: str
    resolved_at: str | None
    resolved_by: str | None
    note: str | None


class AnomalyPage(BaseModel):
    """Anomalies, newest first."""

    data: list[AnomalyAnswer]
    next: Annotated[str | None, Field(description="give it as `after` for the next page; null: no more")]


@dataclass(frozen=True, slots=True)
class AnomalyCalls:
    """The calls of anomalies. `catalogue`: the one in force."""

    store: Anomalies
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes of anomalies."""
        return [
            Route(
                "GET",
                ANOMALIES,
                self.anomalies,
                "a merchant's anomalies, newest first",
                TAGS,
                {200: Answer(AnomalyPage, "one page")},
                scope="admin",
                query=AnomalySearch,
                path_about=MERCHANT_ABOUT,
            ),
            Route(
                "POST",
                f"{ANOMALIES}/{{id}}/resolve",
                self.resolve,
                "resolve an anomaly with a note",
                TAGS,
                {200: Answer(AnomalyAnswer, "the anomaly as it is now")},
                scope="admin",
                body=Resolution,
                problems=(409,),
                path_about=MERCHANT_ABOUT | {"id": "the anomaly's id, ano_…"},
            ),
        ]

    async def anomalies(self, call: Call) -> Reply:
        merchant, asked = merchant_of(self.catalogue(), call), call.query
        found = await self.store.anomalies(
            merchant.merchant_id,
            asked.limit + 1,  # one more than the page tells whether there is a next one
            asked.after,
            resolved=asked.resolved,
        )
        page = [anomaly_object(anomaly) for anomaly in found[: asked.limit]]
        return Reply({"data": page, "next": page[-1]["id"] if len(found) > asked.limit else None})

    async def resolve(self, call: Call) -> Reply:
        merchant, said = merchant_of(self.catalogue(), call), call.body
        try:
            anomaly_id = read(ANOMALY, call.path["id"])
            resolved = await self.store.resolve(
                merchant.merchant_id, anomaly_id, by=said.by, note=said.note, now=self.clock()
            )
        except IdError:
            raise not_found("anomaly") from None
        except AnomalyResolvedError:
            raise conflict("already_resolved", "This anomaly was resolved before; what was noted stays.") from None
        if resolved is None:
            raise not_found("anomaly")
        return Reply(anomaly_object(resolved))
