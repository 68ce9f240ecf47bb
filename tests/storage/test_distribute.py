"""Which statements spread the tables over a cluster, and that a server without Citus is refused.

Not tested here: the statements on a cluster. There is none where the tests run.
"""

import pytest

from gateway.storage.server.distribute import LOCAL, REFERENCE, DistributionError, distribute, require_cluster, steps
from gateway.storage.tables import metadata


def test_every_table_is_spread_once_the_catalogue_to_all_and_the_books_by_merchant() -> None:
    found = steps()
    assert sorted(step.table for step in found) == sorted(set(metadata.tables) - LOCAL)
    assert {step.table for step in found if step.kind == "reference"} == REFERENCE
    books = [step for step in found if step.kind == "distributed"]
    first = books[0].table
    assert [step.sql for step in books] == [
        f"SELECT create_distributed_table('{first}', 'merchant_id')",
        *(
            f"SELECT create_distributed_table('{step.table}', 'merchant_id', colocate_with => '{first}')"
            for step in books[1:]
        ),
    ]


def test_what_a_foreign_key_points_at_is_spread_first() -> None:
    order = [step.table for step in steps()]
    for table in order:
        for key in metadata.tables[table].foreign_key_constraints:
            assert order.index(key.referred_table.name) < order.index(table)
            # A reference table is on every server; between the books the key must begin with the merchant.
            assert key.referred_table.name in REFERENCE or next(iter(key.columns)).name == "merchant_id"


@pytest.mark.parametrize("table", sorted(set(metadata.tables) - REFERENCE - LOCAL))
def test_every_key_of_the_books_begins_with_the_merchant(table: str) -> None:
    """A cluster refuses a unique key without it: it could not be held on one server."""
    spread = metadata.tables[table]
    keys = [spread.primary_key, *(each for each in spread.constraints if each.__visit_name__ == "unique_constraint")]
    begin = [next(iter(key.columns)).name for key in keys if len(key.columns)]  # type: ignore[attr-defined]
    begin += [next(iter(index.columns)).name for index in spread.indexes if index.unique]
    assert set(begin) <= {"merchant_id"}  # lines of statements have no key


def test_what_is_spread_already_is_left_alone() -> None:
    everything = {step.table for step in steps()}
    assert steps(everything) == []
    assert [step.table for step in steps(everything - {"refunds", "apps"})] == ["apps", "refunds"]
    (again,) = steps(everything - {"refunds"})
    assert again.sql == next(step.sql for step in steps() if step.table == "refunds")


async def test_a_server_without_citus_is_refused_with_what_to_do_and_left_as_it_is(empty_database_url: str) -> None:
    with pytest.raises(DistributionError, match=r"has no extension citus.*coordinator of a Citus cluster"):
        await require_cluster(empty_database_url)


async def test_what_the_cluster_has_is_asked_of_it(database_url: str) -> None:
    with pytest.raises(Exception, match="citus_tables"):
        await distribute(database_url)
