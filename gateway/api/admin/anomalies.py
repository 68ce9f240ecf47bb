"""Anomalies: what contradicts a final state, and what an operator made of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, PlainValidator, WithJsonSchema

from gateway.api.admin.fields import MAX_NAME, MAX_NOTE
from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.fields import PAGE, Amount, Lines, OneLine, PageSize, QueryModel, RequestModel, id_field, wrong
from gateway.api.http.problems import FieldError, bad_fields, conflict, not_found
from gateway.api.http.refund_answers import exceeds_rest, not_refundable
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.anomalies import AnomalyResolvedError, RecordedAnomaly, Resolution
from gateway.domain.catalogue import Catalogue
from gateway.domain.corrections import NoMoneyProvedError
from gateway.domain.hearing import AnomalyKind
from gateway.domain.ids import ANOMALY, IdError, read
from gateway.flows.corrections import Resolving
from gateway.objects.anomalies import anomaly_object
from gateway.ports import AmountExceedsRestError, PaymentNotRefundableError

__all__ = ["Anomalies", "AnomalyCalls", "Flag", "says_something"]

ANOMALIES = f"{MERCHANT}/anomalies"
RESOLVING = (
    "Of `late_success`, `paid_twice` and `transaction_mismatch` money is proved to have moved. `refunded` gives it "
    "back to the payer: a refund on the payment's channel, of `amount` or of what is left, told to the app as any "
    "refund. If it fails or comes back, the anomaly is open again. `taken_as_paid` keeps it: a payment of its own, "
    "`corrects` the old one, succeeded, under its order number with `~c`, told to the app; it can be settled and "
    "refunded. `explained` changes nothing."
)


class Anomalies(Protocol):
    """The books of anomalies: an `AnomalyStore`."""

    async def anomalies(
        self, merchant_id: UUID, limit: int, before: UUID | None = None, *, resolved: bool = False
    ) -> list[RecordedAnomaly]:
        """Those that are open, or those that were resolved, newest first, after the anomaly `before`."""
        ...


class Corrections(Protocol):
    """Resolves anomalies: a `flows.corrections.CorrectionFlow`. None: there is no such anomaly."""

    async def explain(self, resolving: Resolving) -> RecordedAnomaly | None: ...

    async def refund(self, resolving: Resolving, amount: int | None) -> RecordedAnomaly | None: ...

    async def take_as_paid(self, resolving: Resolving) -> RecordedAnomaly | None: ...


def _flag(value: object) -> bool:
    if value in ("true", "false"):
        return value == "true"
    raise wrong("wrong_type", "must be true or false")


def _resolution(value: object) -> Resolution:
    try:
        return Resolution(value if isinstance(value, str) else "")
    except ValueError:
        raise wrong("not_one_of", f"must be one of {', '.join(Resolution)}") from None


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


class ResolutionRequest(RequestModel):
    """What an operator makes of an anomaly, with a note for those who come later."""

    resolution: Annotated[
        Resolution,
        PlainValidator(_resolution),
        WithJsonSchema({"type": "string", "enum": list(Resolution)}),
        Field(description="what becomes of the money; left out, nothing is to be done, as the note says"),
    ] = Resolution.EXPLAINED
    amount: Annotated[
        Amount | None, Field(description="of `refunded`: how much goes back, in fen; left out, all that is left")
    ] = None

    note: Annotated[Lines, Field(min_length=1, max_length=MAX_NOTE), AfterValidator(says_something)]
    by: Annotated[
        OneLine, Field(min_length=1, max_length=MAX_NAME, description="who says so"), AfterValidator(says_something)
    ]


class AnomalyAnswer(BaseModel):
    """An observation that contradicts a final state of an object. What was made of it is null while it is open."""

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
    payment: Annotated[str | None, Field(description="whose money it is about, if it is about any")]
    channel_transaction_no: Annotated[
        str | None,
        Field(description="of `transaction_mismatch`: the payment company's number of the second one"),
    ]
    resolution: Resolution | None
    refund: Annotated[str | None, Field(description="what gives the money back; if it fails, this is open again")]
    correction: Annotated[str | None, Field(description="the payment that the money was taken as")]


class AnomalyPage(BaseModel):
    """Anomalies, newest first."""

    data: list[AnomalyAnswer]
    next: Annotated[str | None, Field(description="give it as `after` for the next page; null: no more")]


@dataclass(frozen=True, slots=True)
class AnomalyCalls:
    """The calls of anomalies. `catalogue`: the one in force."""

    store: Anomalies
    corrections: Corrections
    catalogue: Callable[[], Catalogue]

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
                "resolve an anomaly: refunded, taken as paid, or explained",
                TAGS,
                {200: Answer(AnomalyAnswer, "the anomaly as it is now")},
                scope="admin",
                body=ResolutionRequest,
                problems=(409, 503),
                description=RESOLVING,
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
        except IdError:
            raise not_found("anomaly") from None
        resolving = Resolving(merchant.merchant_id, anomaly_id, said.by, said.note)
        try:
            resolved = await self._resolve(resolving, said.resolution, said.amount)
        except AnomalyResolvedError:
            raise conflict("already_resolved", "This anomaly was resolved before; what was noted stays.") from None
        except NoMoneyProvedError:
            raise not_refundable("no_money_proved") from None
        except AmountExceedsRestError as error:
            raise exceeds_rest(error.left) from None
        except PaymentNotRefundableError as error:
            raise not_refundable(error.code) from None
        if resolved is None:
            raise not_found("anomaly")
        return Reply(anomaly_object(resolved))

    async def _resolve(self, resolving: Resolving, how: Resolution, amount: int | None) -> RecordedAnomaly | None:
        match how:
            case Resolution.REFUNDED:
                return await self.corrections.refund(resolving, amount)
            case _ if amount is not None:
                raise bad_fields([FieldError("amount", "unwanted", "is of `refunded` alone: leave it out")])
            case Resolution.TAKEN_AS_PAID:
                return await self.corrections.take_as_paid(resolving)
            case Resolution.EXPLAINED:
                return await self.corrections.explain(resolving)
