"""Days against statements: read, run, given a file, closed."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol, TypeAlias
from uuid import UUID

from pydantic import Field, PlainValidator, WithJsonSchema

from gateway.api.admin.anomalies import Flag
from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.admin.reconciled_answers import DayAnswer, DayPage, DayRunning, OneDayAnswer
from gateway.api.admin.reconciling_fields import REFUSED, ByText, Day, NoteText, day_of_path, refusal_of
from gateway.api.http.fields import PAGE, Code, PageSize, QueryModel, RequestModel, wrong
from gateway.api.http.problems import not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.api.http.uploads import UPLOAD_TYPES, file_name, received
from gateway.domain.catalogue import Catalogue
from gateway.domain.reconciled import (
    Class,
    DayFilter,
    DayNotClosableError,
    MissingDay,
    OpenSums,
    ReconciledDay,
    StatementVersion,
)
from gateway.objects.reconciled import day_object, missing_object, version_object
from gateway.ports.statements import StatementFile
from reconciliation.day_runs import Bring
from reconciliation.running import MAX_FILES_BYTES

__all__ = ["Closing", "Days", "ReconciliationCalls", "Runs"]

DAYS: Final = f"{MERCHANT}/reconciliation/days"
ONE: Final = DAYS + "/{account}/{day}"
ABOUT = MERCHANT_ABOUT | {"account": "the account's code", "day": "the payment company's day, such as 2026-03-05"}
RUNNING = (
    "It is waited for as long as a payment's answer is; then 202, and the run goes on: read the day later, or send the "
    "same again, which waits for the run that is in hand. One day of an account is run at a time in a process."
)
UPLOADED = (
    f"{RUNNING} The body is the file, zipped or not, as the payment company gave it; a form (`multipart/form-data`) "
    f"may have several. {MAX_FILES_BYTES // 1024 // 1024} MiB in all. What is wrong in a file is said with its place, "
    "and nothing of it is loaded."
)
SO_FAR = (
    "also a day that is not over: nothing is proved lost by it, and the statement of the whole day takes its place by "
    "itself"
)
_AFTER = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})/([A-Za-z0-9][A-Za-z0-9_.-]{0,63})", re.ASCII)
_PROBLEMS = (409, 422, 502, 503)


class Days(Protocol):
    """What is kept of days: a `DayStore`."""

    async def days(self, merchant_id: UUID, wanted: DayFilter) -> list[ReconciledDay]: ...

    async def day(self, merchant_id: UUID, account: str, day: date) -> ReconciledDay | None: ...

    async def versions(self, merchant_id: UUID, account: str, day: date) -> list[StatementVersion]: ...

    async def open(
        self, merchant_id: UUID, places: Sequence[tuple[str, date]]
    ) -> dict[tuple[str, date], dict[Class, OpenSums]]: ...

    async def missing(self, merchant_id: UUID, account: str | None = None) -> list[MissingDay]: ...


class Closing(Protocol):
    """Closes days: a `DifferenceStore`."""

    async def close(self, merchant_id: UUID, account: str, day: date, by: str, at: datetime) -> bool: ...


class Runs(Protocol):
    """Runs days: a `reconciliation.day_runs.DayRuns`."""

    def day_in_hand(self, merchant_id: UUID, account: str) -> date | None: ...

    async def run(
        self, merchant_id: UUID, account: str, day: date, by: str, bring: Bring | None = None,
        replaces: str | None = None, *, so_far: bool = False,
    ) -> ReconciledDay | None: ...  # fmt: skip


def _after(value: object) -> tuple[date, str]:
    found = _AFTER.fullmatch(str(value))
    try:
        if found is not None:
            return date.fromisoformat(found[1]), found[2]
    except ValueError:
        pass
    raise wrong("place", "must be the `next` of a page before")


if TYPE_CHECKING:
    After: TypeAlias = tuple[date, str]
else:
    After = Annotated[
        tuple, PlainValidator(_after), WithJsonSchema({"type": "string", "pattern": f"^{_AFTER.pattern}$"})
    ]


class DaySearch(QueryModel):
    """Days that were compared, from `from` to `to`. `after` is the `next` of the page before."""

    account: Code | None = None
    since: Annotated[Day | None, Field(alias="from")] = None
    until: Annotated[Day | None, Field(alias="to")] = None
    limit: PageSize = PAGE
    after: After | None = None


class RunRequest(RequestModel):
    """Have a day's statement fetched and compared."""

    by: ByText
    replace_note: NoteText | None = Field(
        None,
        description="why a statement that is another one takes the place of what was loaded; left out, it does not",
    )
    so_far: Annotated[bool, Field(description=SO_FAR)] = False


class CloseRequest(RequestModel):
    """Lock a day."""

    by: ByText


class UploadQuery(QueryModel):
    """`filename`: what people know the file by; of a form, its own are taken."""

    by: ByText
    filename: Annotated[str, Field(min_length=1, max_length=200)] = "statement"
    replace_note: NoteText | None = None
    so_far: Annotated[Flag, Field(description=SO_FAR)] = False


@dataclass(frozen=True, slots=True)
class ReconciliationCalls:
    """The calls of days."""

    store: Days
    closing: Closing
    runs: Runs
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes."""
        ran = {200: Answer(DayAnswer, "the day as it was compared"), 202: Answer(DayRunning, "the run goes on")}
        return [
            Route("GET", DAYS, self.days, "days against their statements, and which have none", TAGS,
                  {200: Answer(DayPage, "one page, the newest first")}, scope="admin", query=DaySearch,
                  path_about=MERCHANT_ABOUT),
            Route("GET", ONE, self.day, "one day, with every statement that was loaded for it", TAGS,
                  {200: Answer(OneDayAnswer, "the day")}, scope="admin", path_about=ABOUT),
            Route("POST", f"{ONE}/run", self.run, "fetch a day's statement and compare it", TAGS, ran, scope="admin",
                  body=RunRequest, problems=_PROBLEMS, path_about=ABOUT, description=RUNNING),
            Route("PUT", f"{ONE}/statement", self.upload, "give the file of a day's statement, and compare it", TAGS,
                  ran, scope="admin", query=UploadQuery, problems=_PROBLEMS, uploads=UPLOAD_TYPES, path_about=ABOUT,
                  description=UPLOADED),
            Route("POST", f"{ONE}/close", self.close, "lock a day", TAGS,
                  {200: Answer(DayAnswer, "the day, closed")}, scope="admin", body=CloseRequest, problems=(409,),
                  path_about=ABOUT, description="Days are closed in order, when nothing of them is open but what waits "
                  "for the next statement. A day that is closed cannot be loaded again, and none before it."),
        ]  # fmt: skip

    async def days(self, call: Call) -> Reply:
        merchant, asked = merchant_of(self.catalogue(), call), call.query
        wanted = DayFilter(
            asked.account, asked.since or date.min, asked.until or date.max, asked.after, asked.limit + 1
        )
        found = await self.store.days(merchant.merchant_id, wanted)
        page = found[: asked.limit]
        left = await self.store.open(merchant.merchant_id, [(each.account, each.day) for each in page])
        missing = await self.store.missing(merchant.merchant_id, asked.account)
        last = f"{page[-1].day}/{page[-1].account}" if len(found) > asked.limit else None
        shown = [day_object(each, left.get((each.account, each.day), {})) for each in page]
        return Reply({"data": shown, "next": last, "missing": [missing_object(each) for each in missing]})

    async def day(self, call: Call) -> Reply:
        merchant_id, account, day = self._place(call)
        shown = await self._shown(merchant_id, account, day)
        versions = await self.store.versions(merchant_id, account, day)
        missing = await self.store.missing(merchant_id, account)
        more = {
            "statements": [version_object(each) for each in versions],
            "missing": [missing_object(each) for each in missing],
            "running": self.runs.day_in_hand(merchant_id, account) == day,
        }
        return Reply(shown | more)

    async def run(self, call: Call) -> Reply:
        return await self._ran(call, call.body.by, None, call.body.replace_note, call.body.so_far)

    async def upload(self, call: Call) -> Reply:
        asked = call.query
        name = file_name(asked.filename)

        async def bring(folder: Path) -> list[StatementFile]:
            files = await received(call.request, folder, name, MAX_FILES_BYTES)
            return [StatementFile(*file) for file in files]

        return await self._ran(call, asked.by, bring, asked.replace_note, asked.so_far)

    async def close(self, call: Call) -> Reply:
        place = self._place(call)
        try:
            closed = await self.closing.close(*place, call.body.by, self.clock())
        except DayNotClosableError as error:
            raise refusal_of(error) from None
        # Closed before, it stays as it was.
        del closed
        return Reply(await self._shown(*place))

    async def _ran(self, call: Call, by: str, bring: Bring | None, replaces: str | None, so_far: bool) -> Reply:
        merchant_id, account, day = self._place(call)
        if (merchant_id, account) not in self.catalogue().accounts:
            raise not_found("account")
        try:
            done = await self.runs.run(merchant_id, account, day, by, bring, replaces, so_far=so_far)
        except REFUSED as error:
            raise refusal_of(error) from None
        if done is None:
            return Reply({"state": "running", "account": account, "day": day.isoformat()}, 202)
        return Reply(await self._shown(merchant_id, account, day))

    async def _shown(self, merchant_id: UUID, account: str, day: date) -> dict[str, Any]:
        found = await self.store.day(merchant_id, account, day)
        if found is None:
            raise not_found("day")
        left = await self.store.open(merchant_id, [(account, day)])
        return day_object(found, left.get((account, day), {}))

    def _place(self, call: Call) -> tuple[UUID, str, date]:
        merchant = merchant_of(self.catalogue(), call)
        return merchant.merchant_id, call.path["account"], day_of_path(call.path["day"])
