"""Records of format 1, written by the first version: read, explained and replayed as then, for ever.

The file holds one of each kind that the first version's database has, with the explanation that it gave, and before
them one that only its router could make. That all of that database is read is tested in tests/storage.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from router import Refusal, decide, explain, from_record, replay, to_answer

KEPT: list[dict[str, Any]] = json.loads((Path(__file__).parent / "records_of_the_first_version.json").read_text())
RECORDS = [kept["record"] for kept in KEPT]
NEW = {Refusal.SIGNING_IN_PROGRESS, Refusal.BLOCKED}
OUTCOME = ("chosen", "chosen_by_step", "refusal", "refused_by_step", "max_single_limit")


def _name(record: dict[str, Any]) -> str:
    return str(record.get("refusal") or f"step {record['chosen_by_step']}")


@pytest.mark.parametrize("record", RECORDS, ids=_name)
def test_it_is_read_as_it_was_written(record: dict[str, Any]) -> None:
    answer: dict[str, Any] = to_answer(from_record(record))
    assert {name: answer[name] for name in OUTCOME} == {name: record.get(name) for name in OUTCOME}
    unset = {"removed_by_step": None, "reason": None, "rank": None, "authentication_share": 0, "ailing": None}
    shown = [{name: told for name, told in seen.items() if name != "limit"} for seen in answer["candidates"]]
    assert shown == [{**unset, "compared": seen["fee"], **seen} for seen in record["trace"]]


@pytest.mark.parametrize("record", RECORDS, ids=_name)
def test_what_is_told_of_its_limits_is_made_from_it_and_what_was_in_flight_is_not_known(record: dict[str, Any]) -> None:
    answer: dict[str, Any] = to_answer(from_record(record))
    by_limit = record.get("refused_by_step") in {2, 3, 4, 5}
    assert [answer["limit"] is not None, answer["max_amount_now"] is not None] == [by_limit, by_limit]
    for seen in answer["candidates"]:
        assert (seen["limit"] is not None) == (seen["removed_by_step"] in {2, 3, 4, 5})
        if seen["reason"] in {"daily_limit_exceeded", "channel_total_exceeded"}:
            name = "used_today" if seen["reason"] == "daily_limit_exceeded" else "channel_used_today"
            used = record["facts"].get(seen["channel"], {}).get(name, 0)
            limit = seen["limit"]
            assert limit["left"] == max(limit["limit"] - used, 0)
            assert limit["in_flight"] == (None if used else 0)


@pytest.mark.parametrize("record", RECORDS, ids=_name)
def test_it_is_replayed_to_the_same_answer(record: dict[str, Any]) -> None:
    assert replay(record) == from_record(record)


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: _name(kept["record"]))
def test_it_is_explained_as_it_was_then(kept: dict[str, Any]) -> None:
    assert explain(from_record(kept["record"])) == kept["explanation"]


def test_every_refusal_of_the_first_version_and_every_step_that_chooses_is_among_them() -> None:
    assert {record.get("refusal") for record in RECORDS} == set(Refusal) - NEW | {None}
    assert {record.get("chosen_by_step") for record in RECORDS} == {None, 5, 7, 8, 9}
    assert {record.get("refused_by_step") for record in RECORDS} == {None, 1, 2, 3, 4, 5}


def test_a_signing_in_progress_is_told_in_the_words_of_its_own_format() -> None:
    record = RECORDS[0]
    assert {seen["reason"] for seen in record["trace"]} == {"signing_in_progress", "needs_signing"}
    assert replay(record).refusal is Refusal.CARD_NEEDS_SIGNING
    then = from_record(record)
    again = decide(then.request, then.candidates, then.facts, then.config_version)
    assert again.refusal is Refusal.SIGNING_IN_PROGRESS
