"""A statement that is late, and one that is cut off: by the file that the control API gives to a person.

Each mock asks the same two questions where its protocol fetches the file; that is tested with its format.
"""

from datetime import date

import pytest

from sandbox.allinpay import Allinpay
from tests.sandbox.merchants import Sandbox
from tests.sandbox.test_statements import DAY, NEXT

LINES = b"first line\nsecond line\nthird line\n"


@pytest.fixture(autouse=True)
def has_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Allinpay, "statement_file", lambda _, day: (f"{day:%Y%m%d}.txt", LINES))


async def file_of(sandbox: Sandbox, day: str = DAY) -> tuple[int, bytes]:
    async with sandbox.session.get(f"{sandbox.address}/_sandbox/allinpay/statement?day={day}") as answer:
        return answer.status, await answer.read()


async def test_a_file_is_given_under_its_name(sandbox: Sandbox) -> None:
    async with sandbox.session.get(f"{sandbox.address}/_sandbox/allinpay/statement?day={DAY}") as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="20260301.txt"'
        assert await answer.read() == LINES


async def test_a_mock_that_writes_no_statements_says_so(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: Allinpay, __: date) -> None:
        return None

    monkeypatch.setattr(Allinpay, "statement_file", none)
    status, answer = await sandbox.control("GET", f"allinpay/statement?day={DAY}")
    assert (status, answer["error"]) == (404, f"allinpay writes no statement of {DAY}")


async def test_a_late_statement_is_not_ready_for_so_many_asks_of_its_day(sandbox: Sandbox) -> None:
    await sandbox.fault("allinpay", "late_statement", times=2, match={"day": DAY})
    assert (await file_of(sandbox, NEXT))[0] == 200
    assert [(await file_of(sandbox))[0] for _ in range(3)] == [404, 404, 200]


async def test_a_late_statement_is_not_ready_for_so_many_seconds(sandbox: Sandbox) -> None:
    await sandbox.fault("allinpay", "late_statement", seconds=3600)
    assert {(await file_of(sandbox))[0] for _ in range(5)} == {404}
    await sandbox.control("DELETE", "allinpay/faults")
    await sandbox.fault("allinpay", "late_statement", seconds=0)
    assert (await file_of(sandbox))[0] == 200


@pytest.mark.parametrize(("cut", "got"), [("byte", LINES[:17]), ("line", b"first line\n")])
async def test_a_broken_statement_ends_in_the_middle_of_a_line_or_looks_whole(
    sandbox: Sandbox, cut: str, got: bytes
) -> None:
    await sandbox.fault("allinpay", "broken_statement", cut=cut, times=1)
    assert [(await file_of(sandbox))[1] for _ in range(2)] == [got, LINES]
