"""Differences: listed, exported, resolved and opened again."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol, Self, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.admin.reconciling_fields import ByText, ClassName, Day, NoteText, StateName
from gateway.api.http.answers import AnswerModel, Time
from gateway.api.http.fields import PAGE, Code, PageSize, QueryModel, RequestModel, id_field, wrong
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.differences import Difference, DifferenceFilter, DifferenceState, Remedy, Standing
from gateway.domain.ids import DIFFERENCE, PAYMENT, PAYOUT, PREFIX_OF, REFUND, IdError, read_object, show
from gateway.domain.reconciled import Class, Word
from gateway.objects.difference_lines import HEAD, line_of
from gateway.objects.reconciled import difference_object

__all__ = ["DifferenceCalls", "Differences"]

BASE: Final = f"{MERCHANT}/differences"
MAX_IDS: Final = 500
PIECE_BYTES: Final = 64 * 1024
_KINDS: Final = {PAYMENT, REFUND, PAYOUT}
RESOLVING = (
    "By their ids, or all that is open of one class on one day of an account. What waits for the next statement "
    "(`suspense`) resolves itself. Resolving changes nothing but the difference: money is put right by the remedies, "
    "first of all by resolving its anomaly."
)
CSV = (
    "The same filters, all pages in one file: UTF-8 with a byte order mark, amounts in yuan and in fen, times in the "
    "business zone; a text that a spreadsheet would take for a formula begins with an apostrophe. A file that was cut "
    "off in the middle ends without the end of its transfer."
)


class Differences(Protocol):
    """The books of differences: a `DifferenceStore`."""

    async def differences(self, merchant_id: UUID, wanted: DifferenceFilter) -> list[Difference]: ...

    def every(self, merchant_id: UUID, wanted: DifferenceFilter) -> AsyncIterator[Difference]: ...

    async def resolve(
        self, merchant_id: UUID, differences: Sequence[UUID], by: str, note: str, at: datetime
    ) -> list[UUID]: ...

    async def resolve_day(
        self, merchant_id: UUID, account: str, day: date, kind: Class, by: str, note: str, at: datetime
    ) -> int: ...

    async def reopen(
        self, merchant_id: UUID, differences: Sequence[UUID], by: str, note: str, at: datetime
    ) -> list[UUID]: ...

    async def standing(self, merchant_id: UUID, differences: Sequence[UUID]) -> dict[UUID, Standing]: ...


def _object(value: object) -> UUID:
    try:
        kind, object_id = read_object(str(value))
        if PREFIX_OF[kind] in _KINDS:
            return object_id
    except IdError:
        pass
    raise wrong("id", f"must be an id {PAYMENT}_…, {REFUND}_… or {PAYOUT}_…")


if TYPE_CHECKING:
    DifferenceId: TypeAlias = UUID
    ObjectId: TypeAlias = UUID
else:
    DifferenceId = id_field(DIFFERENCE)
    _ids = "|".join(sorted(_KINDS))
    ObjectId = Annotated[
        UUID,
        PlainValidator(_object),
        WithJsonSchema({"type": "string", "pattern": rf"^({_ids})_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"}),
    ]


class _Filters(QueryModel):
    account: Code | None = None
    day: Day | None = None
    kind: Annotated[ClassName | None, Field(alias="class")] = None
    state: StateName | None = None
    object_id: Annotated[ObjectId | None, Field(alias="object", description="of ours: pay_…, ref_… or po_…")] = None

    def wanted(self, after: UUID | None = None, limit: int = PAGE) -> DifferenceFilter:
        return DifferenceFilter(self.account, self.day, self.kind, self.state, self.object_id, after, limit)


class DifferenceSearch(_Filters):
    """Differences that fit all that is given. `after` is the `next` of the page before."""

    limit: PageSize = PAGE
    after: DifferenceId | None = None


class DifferenceExport(_Filters):
    """Differences that fit all that is given."""


class ResolveRequest(RequestModel):
    """What is resolved: `ids`, or `account`, `day` and `class` together."""

    ids: Annotated[list[DifferenceId], Field(min_length=1, max_length=MAX_IDS)] | None = None
    account: Code | None = None
    day: Day | None = None
    kind: Annotated[ClassName | None, Field(alias="class")] = None
    note: NoteText
    by: ByText

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = {"account": self.account, "day": self.day, "class": self.kind}
        for name, value in named.items():
            if self.ids is None and value is None:
                raise wrong("missing", "is needed, unless `ids` says which", field=name)
            if self.ids is not None and value is not None:
                raise wrong("exclusive", "does not go with `ids`", field=name)
        return self


class ReopenRequest(RequestModel):
    """What is opened again."""

    ids: Annotated[list[DifferenceId], Field(min_length=1, max_length=MAX_IDS)]
    note: NoteText
    by: ByText


class TheirSide(AnswerModel):
    """The line of the statement. Amounts in fen, without a sign."""

    line: int
    kind: str
    amount: int
    paid: bool
    fee: int | None
    transaction_no: str | None
    done_at: Time | None


class OurSide(AnswerModel):
    """Our entry as it stood when it was compared. Amounts in fen, without a sign."""

    id: str
    object: Literal["payment", "refund", "payout"]
    amount: int | None
    state: str
    fee: int | None
    done_at: Time | None


class Entry(AnswerModel):
    """Who did what with it, when and why."""

    at: Time
    by: str
    did: str
    note: str | None


class DifferenceAnswer(AnswerModel):
    """A line of theirs, or an entry of ours, that is no plain match. `remedy`: what is proposed while it is open."""

    object: Literal["difference"]
    id: str
    account: str
    day: str
    kind: Annotated[Class, Field(alias="class", serialization_alias="class")]
    state: DifferenceState
    number: str | None
    theirs: TheirSide | None
    ours: OurSide | None
    remedy: Remedy | None
    anomaly: Annotated[str | None, Field(description="ano_…, open, of the same object: resolve it first")]
    word: Annotated[Word | None, Field(description="what our books hear of it")]
    told_at: Time | None
    became: Annotated[Class | None, Field(description="of suspense: its class on the later day")]
    became_on: str | None
    found_at: Time
    resolved_at: Time | None
    resolved_by: str | None
    note: str | None
    history: list[Entry]


class DifferencePage(AnswerModel):
    """Differences, in order of their ids."""

    data: list[DifferenceAnswer]
    next: Annotated[str | None, Field(description="give it as `after` for the next page; null: no more")]


Reason = Literal["not_found", "already_so", "suspense", "superseded", "by_statement", "day_closed"]


class Unchanged(AnswerModel):
    """One that stays as it is, and why."""

    id: str
    reason: Reason


class ChangedAnswer(AnswerModel):
    """What was changed. `changed` is null where a whole class of a day was resolved: `count` says how many."""

    count: int
    changed: list[str] | None
    unchanged: list[Unchanged]


@dataclass(frozen=True, slots=True)
class DifferenceCalls:
    """The calls of differences. `zone`: of the times in the exported file."""

    store: Differences
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]
    zone: ZoneInfo

    def routes(self) -> list[Route]:
        """The routes."""
        changed = {200: Answer(ChangedAnswer, "what was changed, what was not, and why")}
        return [
            Route("GET", BASE, self.search, "differences between payment companies' statements and our books", TAGS,
                  {200: Answer(DifferencePage, "one page")}, scope="admin", query=DifferenceSearch,
                  path_about=MERCHANT_ABOUT),
            Route("GET", f"{BASE}.csv", self.export, "differences as a file for a spreadsheet", TAGS,
                  {200: Answer(None, "CSV, with a head line", "text/csv")}, scope="admin", query=DifferenceExport,
                  path_about=MERCHANT_ABOUT, description=CSV),
            Route("POST", f"{BASE}/resolve", self.resolve, "say that differences are settled, and how", TAGS, changed,
                  scope="admin", body=ResolveRequest, path_about=MERCHANT_ABOUT, description=RESOLVING),
            Route("POST", f"{BASE}/reopen", self.reopen, "open resolved differences again", TAGS, changed,
                  scope="admin", body=ReopenRequest, path_about=MERCHANT_ABOUT,
                  description="Not those of a day that is closed, nor what a later statement resolved."),
        ]  # fmt: skip

    async def search(self, call: Call) -> Reply:
        merchant, asked = merchant_of(self.catalogue(), call), call.query
        found = await self.store.differences(merchant.merchant_id, asked.wanted(asked.after, asked.limit + 1))
        page = [difference_object(each) for each in found[: asked.limit]]
        return Reply({"data": page, "next": page[-1]["id"] if len(found) > asked.limit else None})

    async def export(self, call: Call) -> Reply:
        merchant = merchant_of(self.catalogue(), call)
        pieces = self._lines(merchant.merchant_id, call.query.wanted())
        saved = {"Content-Disposition": 'attachment; filename="differences.csv"'}
        return Reply(pieces, content_type="text/csv; charset=utf-8", headers=saved)

    async def resolve(self, call: Call) -> Reply:
        merchant_id, said, now = merchant_of(self.catalogue(), call).merchant_id, call.body, self.clock()
        if said.ids is None:
            count = await self.store.resolve_day(
                merchant_id, said.account, said.day, said.kind, said.by, said.note, now
            )
            return Reply({"count": count, "changed": None, "unchanged": []})
        done = await self.store.resolve(merchant_id, said.ids, said.by, said.note, now)
        return await self._changed(merchant_id, said.ids, done, _why_not_resolved)

    async def reopen(self, call: Call) -> Reply:
        merchant_id, said = merchant_of(self.catalogue(), call).merchant_id, call.body
        done = await self.store.reopen(merchant_id, said.ids, said.by, said.note, self.clock())
        return await self._changed(merchant_id, said.ids, done, _why_not_opened)

    async def _lines(self, merchant_id: UUID, wanted: DifferenceFilter) -> AsyncIterator[bytes]:
        piece = bytearray(HEAD)
        async for each in self.store.every(merchant_id, wanted):
            piece += line_of(each, self.zone)
            if len(piece) >= PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)

    async def _changed(
        self, merchant_id: UUID, asked: Sequence[UUID], done: Sequence[UUID], why: Callable[[Standing], Reason]
    ) -> Reply:
        left = [each for each in dict.fromkeys(asked) if each not in set(done)]
        standing: dict[UUID, Standing] = await self.store.standing(merchant_id, left) if left else {}
        unchanged: list[dict[str, Any]] = [
            {"id": show(DIFFERENCE, each), "reason": why(standing[each]) if each in standing else "not_found"}
            for each in left
        ]
        changed = [show(DIFFERENCE, each) for each in done]
        return Reply({"count": len(done), "changed": changed, "unchanged": unchanged})


def _why_not_resolved(now: Standing) -> Reason:
    if now.state is DifferenceState.SUPERSEDED:
        return "superseded"
    return "suspense" if now.state is DifferenceState.OPEN and now.kind is Class.SUSPENSE else "already_so"


def _why_not_opened(now: Standing) -> Reason:
    match now.state:
        case DifferenceState.SUPERSEDED:
            return "superseded"
        case DifferenceState.OPEN:
            return "already_so"
        case DifferenceState.RESOLVED:
            return "by_statement" if now.by_statement else "day_closed"
