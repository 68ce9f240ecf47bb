"""Files that a person takes from JD's, YeePay's and LianLian's sandbox, read by the account: the sample's mappings, and
LianLian's own layout. Not here: what is refused in them (test_statement_mapping.py, test_lianlian_statement.py).
"""

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.ports.statements import StatementNotReadyError, StatementRefusedError
from tests.adapters.statements_at_sandbox import DAY, an_order, at, at_sandbox, sample_settings, told

NEXT = DAY + timedelta(days=1)


async def test_jds_table_is_read_by_the_samples_mapping(keys: Path, tmp_path: Path) -> None:
    orders = [
        an_order("o-1", "pay", 123_456, at(9)),
        an_order("o-2", "pay", 29, at(10), "failed"),
        an_order("r-1", "refund", 820, at(11), original="o-1"),
        an_order("o-3", "pay", 100, at(0, day=NEXT)),
    ]
    async with at_sandbox("jd", keys, tmp_path / "data", orders) as jd:
        statements = jd.statements(statement=sample_settings("jd")["statement"])
        lines = list(statements.read([await jd.given(tmp_path)], DAY))
        assert told(lines) == [
            ("payment", "o-1", 123_456, True, None),
            ("payment", "o-2", 29, False, None),
            ("refund", "r-1", 820, True, "o-1"),
        ]
        assert (lines[0].at, lines[0].fee) == (at(9), 0)
        with pytest.raises(StatementRefusedError, match=f"is not of {NEXT}"):
            list(statements.read([await jd.given(tmp_path)], NEXT))
        assert list(statements.read([await jd.given(tmp_path, NEXT - timedelta(days=9))], NEXT)) == []


async def test_yeepays_table_is_read_by_the_samples_mapping(keys: Path, tmp_path: Path) -> None:
    orders = [
        an_order("o-1", "netbank", 10_150, at(9)),
        an_order("r-1", "refund", 820, at(11), "returned", original="o-1", returned_at=at(12).timestamp()),
    ]
    async with at_sandbox("yeepay", keys, tmp_path / "data", orders) as yeepay:
        statements = yeepay.statements(statement=sample_settings("yeepay")["statement"])
        file = await yeepay.given(tmp_path)
        assert told(statements.read([file], DAY)) == [
            ("payment", "o-1", 10_150, True, None),
            ("refund", "r-1", 820, True, "o-1"),
            ("return", "r-1", 820, True, "o-1"),
        ]
        with pytest.raises(StatementNotReadyError, match="a person gives the file"):
            await statements.fetch(DAY, tmp_path, yeepay.transport.download, at(9, day=NEXT))


@pytest.mark.parametrize("provider", ["jd", "yeepay"])
@pytest.mark.parametrize("cut", ["byte", "line"])
async def test_a_table_that_was_cut_is_refused(keys: Path, tmp_path: Path, provider: str, cut: str) -> None:
    orders = [an_order(f"o-{number}", "pay", number, at(9)) for number in range(1, 20)]
    async with at_sandbox(provider, keys, tmp_path / "data", orders) as psp:
        await psp.fault("broken_statement", cut=cut)
        statements = psp.statements(statement=sample_settings(provider)["statement"])
        with pytest.raises(StatementRefusedError):
            list(statements.read([await psp.given(tmp_path)], DAY))
        assert len(list(statements.read([await psp.given(tmp_path)], DAY))) == 19


async def test_lianlians_files_of_receipts_and_payouts_are_read_from_one_zip(keys: Path, tmp_path: Path) -> None:
    orders = [
        an_order("o-1", "consume", 10_150, at(9)),
        an_order("r-1", "refund", 820, at(11), original="o-1"),
        an_order("p-1", "payout", 5_000, at(12)),
        an_order("p-2", "payout", 6_000, at(13), "returned", returned_at=at(15).timestamp()),
        an_order("o-9", "consume", 1, at(9), "failed"),
    ]
    async with at_sandbox("lianlian", keys, tmp_path / "data", orders) as lianlian:
        statements = lianlian.statements()
        assert statements.rules.fetched is False
        lines = sorted(statements.read([await lianlian.given(tmp_path)], DAY), key=lambda line: str(line.at))
        assert told(lines) == [
            ("payment", "o-1", 10_150, True, None),
            ("refund", "r-1", 820, True, "o-1"),
            ("payout", "p-1", 5_000, True, None),
            ("payout", "p-2", 6_000, True, None),
            ("return", "p-2", 6_000, True, None),
        ]
        assert [line.at for line in lines] == [at(9), at(11), at(12), at(13), at(15)]
        assert list(statements.read([await lianlian.given(tmp_path, NEXT)], NEXT)) == []
        with pytest.raises(StatementNotReadyError, match="a person gives LianLian's files"):
            await statements.fetch(DAY, tmp_path, lianlian.transport.download, at(9, day=NEXT))
