"""The bank's check files (对账文件): which are in its zip, and the recharges of one day.

Source: the import table of one client (M); that columns are parted by `|`, that there is no header, and how times are
written is not public: the account says that it is so (`checkfile_columns`).

One line of RECHARGE is one payment. Not read, since they can concern no order of ours: WITHDRAW, COMMISSION,
TRANSACTION, BACKROLL_RECHARGE and the older USER, BALANCE and BALANCECHANGE, and in RECHARGE what came in by BANK,
BACKROLL and VIRTUAL_CARDS, which no payment of ours asks for. A fee is in no file: the commission is the platform's.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date, time
from typing import IO, Final

from adapters.statement_files import Place, entries, is_zip, moment, opened, text_lines
from gateway.domain.statements import LineKind, StatementLine, day_of
from gateway.ports.statements import StatementFile, StatementRefusedError

__all__ = ["FILE_TYPES", "RECHARGE", "file_types", "read_recharges"]

RECHARGE: Final = "RECHARGE"
FILE_TYPES: Final = (RECHARGE, "WITHDRAW", "COMMISSION", "TRANSACTION", "BACKROLL_RECHARGE")
"""What the bank wants to be confirmed."""
OLD_TYPES: Final = ("USER", "BALANCE", "BALANCECHANGE")
COLUMNS: Final = 15
# From 0: time, member, pay company, our number, the bank's, operation, amount, currency, initiator, platform, account,
# bank, way, amount booked, remark.
TIME, NUMBER, SERIAL, AMOUNT, CURRENCY, PLATFORM, WAY = 0, 3, 4, 6, 7, 9, 12
TIME_LAYOUT: Final = "%Y%m%d%H%M%S"
CURRENCIES: Final = frozenset({"", "CNY", "RMB"})
NOBODY_ASKED: Final = frozenset({"BANK", "BACKROLL", "VIRTUAL_CARDS"})
_NAME: Final = re.compile(r"([0-9]{8})_([0-9A-Za-z]{1,32})_([A-Z_]{1,32})\.txt")


def file_types(names: Iterable[str], platform_no: str, day: date, file: str) -> dict[str, str]:
    """Type → name of each file. Raises StatementRefusedError for one of another day, platform or type."""
    found: dict[str, str] = {}
    for name in names:
        read = _NAME.fullmatch(name.replace("\\", "/").rpartition("/")[2])
        if read is None:
            raise StatementRefusedError(f"holds a file whose name is not <day>_<platform>_<type>.txt: {name!r}", file)
        if read[1] != f"{day:%Y%m%d}":
            raise StatementRefusedError(f"holds a file of another day than {day}: {name}", file)
        if read[2] != platform_no:
            raise StatementRefusedError(f"holds a file of another platform: {name}", file)
        if read[3] not in {*FILE_TYPES, *OLD_TYPES}:
            raise StatementRefusedError(f"holds a file of a type that is not known: {name}", file)
        if read[3] in found:
            raise StatementRefusedError(f"holds two files of type {read[3]}", file)
        found[read[3]] = name
    return found


def read_recharges(
    files: Sequence[StatementFile], platform_no: str, day: date, day_cut: time
) -> Iterator[StatementLine]:
    """The payments of a day, from the zip or from its files as they are. Raises StatementRefusedError."""
    zips = [file for file in files if is_zip(file.path)]
    if zips and len(files) > 1:
        raise StatementRefusedError("must be the only file: a zip holds all of a day", zips[0].name)
    with ExitStack() as stack:
        if zips:
            archive = stack.enter_context(opened(zips[0]))
            types = file_types(entries(archive), platform_no, day, zips[0].name)
            name = _recharges_of(types, zips[0].name)
            source, place = stack.enter_context(archive.open(name)), Place(f"{zips[0].name}/{name}")
        else:
            given = {file.name: file for file in files}
            types = file_types([file.name for file in files], platform_no, day, "what was given")
            name = _recharges_of(types, "what was given")
            source, place = stack.enter_context(given[name].path.open("rb")), Place(name)
        for line in _lines(source, place, platform_no):
            if line.at is not None and day_of(line.at, day_cut) != day:
                raise place.refused(f"is not of {day}", TIME + 1)
            yield line


def _recharges_of(types: dict[str, str], file: str) -> str:
    if RECHARGE not in types:
        raise StatementRefusedError(f"holds no file of type {RECHARGE}", file)
    return types[RECHARGE]


def _lines(source: IO[bytes], place: Place, platform_no: str) -> Iterator[StatementLine]:
    for text in text_lines(source, place, "utf-8"):
        fields = [field.strip() for field in text.split("|")]
        if len(fields) != COLUMNS:
            raise place.refused(f"has {len(fields)} columns where there must be {COLUMNS}")
        if fields[PLATFORM] != platform_no:
            raise place.refused("is another platform's", PLATFORM + 1)
        if fields[CURRENCY] not in CURRENCIES:
            raise place.refused("is no amount of yuan", CURRENCY + 1)
        amount = place.yuan(fields[AMOUNT], AMOUNT + 1)
        if amount < 0:
            raise place.refused("is below zero", AMOUNT + 1)
        at = moment(fields[TIME], TIME_LAYOUT, place, TIME + 1)
        if not fields[NUMBER]:
            raise place.refused("names no order", NUMBER + 1)
        if fields[WAY] not in NOBODY_ASKED:
            yield StatementLine(
                place.line,
                LineKind.PAYMENT,
                fields[NUMBER],
                amount,
                transaction_no=fields[SERIAL] or None,
                at=at,
            )
