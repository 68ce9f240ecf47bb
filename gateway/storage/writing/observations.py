"""Rows of observations, which are kept as they came, and of anomalies, which they may cause.

A word that says nothing new, and that is kept already, is counted there instead: how often, and when last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from gateway.domain.hearing import Anomaly
from gateway.domain.ids import ObjectKind
from gateway.domain.outcomes import NotSent, Unknown
from gateway.domain.repeating import without_figures
from gateway.ports import Observation
from gateway.storage.server.database import Connection
from gateway.storage.tables import anomalies, observations
from gateway.storage.writing.statement import Row, Write

__all__ = [
    "COUNTED_BEFORE",
    "Told",
    "anomaly_row",
    "insert_anomalies",
    "read_known_anomalies",
    "read_known_observations",
    "says",
    "words_of",
]

READ_OBSERVATIONS = """
SELECT observation_id FROM observations WHERE merchant_id = $1 AND observation_id = ANY($2::uuid[])
UNION ALL
SELECT unnest(last_ids) FROM observations WHERE merchant_id = $1 AND object_id = ANY($3::uuid[])
"""

# Under the lock of the object's user, so what is found here is what there is. By its time, which no index has: by its
# id alone, PostgreSQL may go through a merchant's whole table from the end.
COUNT_AGAIN = """
UPDATE observations t SET times = coalesce(t.times, 1) + v.times, last_ids = v.last_ids,
    last_at = greatest(t.last_at, t.observed_at, v.last_at)
FROM {rows} CROSS JOIN LATERAL (
    SELECT o.observation_id, o.last_ids FROM observations o
    WHERE o.merchant_id = $1::uuid AND o.object_id = v.perhaps_known_of AND o.verb = v.verb AND o.source = v.source
    AND o.says = v.says AND o.channel_code IS NOT DISTINCT FROM v.channel_code AND o.note IS NOT DISTINCT FROM v.note
    AND translate(o.channel_message, '0123456789', '') IS NOT DISTINCT FROM
        translate(v.channel_message, '0123456789', '')
    ORDER BY o.observed_at DESC, o.observation_id DESC LIMIT 1
) known
WHERE t.merchant_id = $1::uuid AND t.observation_id = known.observation_id
RETURNING v.observation_id,
    coalesce(known.last_ids && v.last_ids, known.observation_id = ANY(v.last_ids)) AS counted_before
"""
COUNTED_BEFORE = "SELECT 1 FROM counted WHERE counted_before"
"""At the end of a statement that counts: rows if an earlier try of the flush kept or counted the same."""
KEEP_THE_REST = """
INSERT INTO observations (merchant_id, observation_id, object_id, verb, source, says, channel_code, channel_message,
    note, observed_at, times, last_at, last_ids)
SELECT $1::uuid, v.observation_id, v.object_id, v.verb, v.source, v.says, v.channel_code, v.channel_message, v.note,
    v.observed_at, v.times, v.last_at, v.last_ids
FROM {rows} WHERE v.observation_id NOT IN (SELECT observation_id FROM counted)
"""
READ_ANOMALIES = """
SELECT coalesce(payment_id, object_id), kind || coalesce(' ' || transaction_no, '')
FROM anomalies WHERE merchant_id = $1 AND object_id = ANY($2::uuid[])
"""


@dataclass(slots=True)
class _Word:
    """One row that may be written, and what of the same flush is counted to it."""

    row: Row
    news: bool
    heard: list[Observation]
    """It, and what is counted to it."""


@dataclass(slots=True)
class Told:
    """What a flush has heard, in turn."""

    _words: list[_Word] = field(default_factory=list)
    _newest: dict[tuple[Any, ...], _Word] = field(default_factory=dict)

    def keep(self, heard: Observation, *, news: bool) -> None:
        """Keep a word; one without news is counted where the same is kept already, here or in the books."""
        row = _row(heard)
        same = (row["object_id"], row["verb"], row["source"], row["says"], row["channel_code"],
                without_figures(row["channel_message"]), row["note"])  # fmt: skip
        known = self._newest.get(same)
        if known is not None and not news:
            known.heard.append(heard)
            return
        self._newest[same] = word = _Word(row, news, [heard])
        self._words.append(word)

    def write(self, write: Write) -> None:
        """Most flushes tell news alone, each once, and only insert it."""
        write.insert(observations, [word.row for word in self._words if _is_plain(word)])
        rows = [_counted_row(word) for word in self._words if not _is_plain(word)]
        write.part("counted", observations, rows, COUNT_AGAIN)
        write.part("kept_beside", observations, rows, KEEP_THE_REST)

    @property
    def counts(self) -> bool:
        """Whether a word may be counted; else all of them are news."""
        return not all(map(_is_plain, self._words))


def _is_plain(word: _Word) -> bool:
    return word.news and len(word.heard) == 1


def _counted_row(word: _Word) -> Row:
    return word.row | {
        "times": len(word.heard),
        "last_at": max(each.at for each in word.heard),
        "last_ids": [each.observation_id for each in word.heard],
        "perhaps_known_of": None if word.news else word.row["object_id"],
    }


async def read_known_observations(
    connection: Connection, merchant_id: UUID, heard: Sequence[Observation]
) -> frozenset[UUID]:
    """Which of these were committed before."""
    ids, objects = [each.observation_id for each in heard], list({each.intent.object_id for each in heard})
    return frozenset(row[0] for row in await connection.fetch(READ_OBSERVATIONS, merchant_id, ids, objects))


async def read_known_anomalies(
    connection: Connection, merchant_id: UUID, objects: Sequence[UUID]
) -> set[tuple[UUID, str]]:
    """The anomalies of objects as they are known (`Anomaly.known_as`): each is recorded once; of a checkout, once for
    each payment."""
    return {(row[0], row[1]) for row in await connection.fetch(READ_ANOMALIES, merchant_id, list(objects))}


def insert_anomalies(write: Write, found: Sequence[Row]) -> None:
    """Keep contradictions."""
    write.insert(anomalies, found)


def anomaly_row(anomaly_id: UUID, kind: ObjectKind, heard: Observation, anomaly: Anomaly) -> Row:
    """The row of an anomaly that an observation showed."""
    return {
        "anomaly_id": anomaly_id,
        "object": kind,
        "object_id": heard.intent.object_id,
        "kind": anomaly.kind,
        "detail": anomaly.detail,
        "source": heard.source,
        "found_at": heard.at,
        "transaction_no": anomaly.transaction_no,
    }


def _row(heard: Observation) -> Row:
    code, message = words_of(heard.outcome)
    return {
        "observation_id": heard.observation_id,
        "object_id": heard.intent.object_id,
        "verb": heard.intent.verb,
        "source": heard.source,
        "says": says(heard.outcome),
        "channel_code": code,
        "channel_message": message,
        "note": heard.note,
        "observed_at": heard.at,
    }


def says(outcome: object) -> str:
    """What an outcome says, in a word: `not_found`."""
    name = type(outcome).__name__
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def words_of(outcome: object) -> tuple[str | None, str | None]:
    """The PSP's own code and words, or why there are none."""
    if isinstance(outcome, NotSent):
        return None, outcome.reason
    code, message = getattr(outcome, "channel_code", None), getattr(outcome, "channel_message", None)
    return (code, message or outcome.reason) if isinstance(outcome, Unknown) else (code, message)
