"""The books of a demonstration at its end: what each payment company has, beside what we have."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from rich.table import Table

from gateway.run.demo.drive import ON_PAGES, Drive
from gateway.run.demo.money_out import MoneyOut
from gateway.run.demo.orders import FAULTS
from reconciliation.comparison import Difference, Entry, compare

__all__ = ["FinalBooks", "read_books"]

PAYMENTS, REFUNDS, PAYOUTS, CAME_BACK = "payments", "refunds", "payouts", "came back"
KIND_OF_ROW: Final = {"refund": REFUNDS, "payout": PAYOUTS}
"""What sandboxes call them; every other kind takes money."""
BINDS_A_CARD: Final = "open_card"

Place = tuple[str, str]
"""A provider and a kind of order."""


@dataclass(frozen=True, slots=True)
class FinalBooks:
    """Both sides' entries, each with its place; `repeated`: orders that a PSP got more than once, in words."""

    ours: tuple[tuple[Place, Entry], ...]
    theirs: tuple[tuple[Place, Entry], ...]
    repeated: tuple[str, ...]

    @property
    def differences(self) -> list[Difference]:
        """Every order on which the sides do not agree."""
        return compare((entry for _, entry in self.ours), (entry for _, entry in self.theirs))

    def rows(self) -> list["BooksRow"]:
        """By provider and kind, in their order."""
        mine, other = _moved(self.ours), _moved(self.theirs)
        places = {entry.number: place for place, entry in (*self.theirs, *self.ours)}
        differ = [places[difference.number] for difference in self.differences]
        return [
            BooksRow(*place, *_told(mine.get(place, [])), *_told(other.get(place, [])), differ.count(place))
            for place in sorted(mine.keys() | other.keys() | set(differ), key=_in_order)
        ]

    def table(self) -> Table:
        """The rows, for people."""
        table = Table(title="the books: orders that moved money, and fen", pad_edge=False)
        table.add_column("payment company", no_wrap=True)
        for heading in ("ours", "fen", "theirs", "fen", "differ"):
            table.add_column(heading, no_wrap=True, justify="right")
        shown = ""
        for row in self.rows():
            if row.provider != shown:
                table.add_row(f"[bold]{row.provider}")
                shown = row.provider
            table.add_row(f"  {row.kind}", *(f"{each:,}" for each in row[2:]))
        return table


class BooksRow(NamedTuple):
    """How many orders moved money and how much, in fen, as either side has it, and on how many they do not agree."""

    provider: str
    kind: str
    ours: int
    our_fen: int
    theirs: int
    their_fen: int
    differ: int


async def read_books(
    drive: Drive, out: MoneyOut, since: datetime, admin: Mapping[str, str], *, others_too: bool
) -> FinalBooks:
    """Both sides' books. `others_too`: also what is none of these there, since nobody else can have made it."""
    base = f"{drive.addresses.gateway}/v1/admin/merchants/demo/channels"
    provider_of = {channel["code"]: channel["provider"] for channel in (await drive.get(base, admin))["data"]}
    ours = tuple(
        ((provider_of[each["channel"]], kind), Entry(each["channel_order_no"], each["amount"], each["status"]))
        for kind, objects in ((PAYMENTS, drive.payments), (REFUNDS, out.refunds), (PAYOUTS, out.payouts))
        for each in objects.values()
        if each["channel_order_no"] is not None
    )
    # A browser may bring its form as often as it likes.
    on_pages = {p["channel_order_no"] for p in drive.payments.values() if p["scene"] in ON_PAGES}
    numbers = {entry.number for _, entry in ours}
    theirs, repeated = [], []
    for provider in FAULTS:
        url = f"{drive.addresses.sandbox}/_sandbox/{provider}/transactions?since={since.isoformat()}"
        for row in cast("list[dict[str, Any]]", (await drive.get(url.replace("+", "%2B")))["transactions"]):
            number = row["order_no"]
            if row["kind"] == BINDS_A_CARD or not (others_too or number in numbers):
                continue
            kind = KIND_OF_ROW.get(row["kind"], PAYMENTS)
            theirs.append(((provider, kind), Entry(number, row["amount"], row["state"])))
            if row["submissions"] > 1 and number not in on_pages:
                repeated.append(f"{number} was submitted {row['submissions']} times")
    return FinalBooks(ours, tuple(theirs), tuple(repeated))


def _moved(side: Iterable[tuple[Place, Entry]]) -> dict[Place, list[int]]:
    """Place → the amounts that moved there. What came back moved twice."""
    found: dict[Place, list[int]] = {}
    for (provider, kind), entry in side:
        if entry.state in {"succeeded", "returned"}:
            found.setdefault((provider, kind), []).append(entry.amount)
        if entry.state == "returned":
            found.setdefault((provider, CAME_BACK), []).append(entry.amount)
    return found


def _told(amounts: list[int]) -> tuple[int, int]:
    return len(amounts), sum(amounts)


def _in_order(place: Place) -> tuple[str, int]:
    return place[0], (PAYMENTS, REFUNDS, PAYOUTS, CAME_BACK).index(place[1])
