"""Rows of observations, which are kept as they came, and of anomalies, which they may cause."""

from collections.abc import Sequence
from uuid import UUID

from gateway.domain.hearing import Anomaly
from gateway.domain.ids import ObjectKind
from gateway.domain.outcomes import NotSent, Unknown
from gateway.ports import Observation
from gateway.storage.server.database import Connection
from gateway.storage.tables import anomalies, observations
from gateway.storage.writing.statement import Row, Write

__all__ = [
    "anomaly_row",
    "insert_anomalies",
    "insert_observations",
    "read_known_anomalies",
    "read_known_observations",
    "says",
    "words_of",
]

READ_OBSERVATIONS = (
    "SELECT observation_id FROM observations WHERE merchant_id = $1 AND observation_id = ANY($2::uuid[])"
)
READ_ANOMALIES = "SELECT object_id, kind FROM anomalies WHERE merchant_id = $1 AND object_id = ANY($2::uuid[])"


async def read_known_observations(connection: Connection, merchant_id: UUID, ids: Sequence[UUID]) -> frozenset[UUID]:
    """Which of these were committed before."""
    return frozenset(row[0] for row in await connection.fetch(READ_OBSERVATIONS, merchant_id, list(ids)))


async def read_known_anomalies(
    connection: Connection, merchant_id: UUID, objects: Sequence[UUID]
) -> set[tuple[UUID, str]]:
    """The anomalies of objects: each (object, kind) is recorded once."""
    return {(row[0], row[1]) for row in await connection.fetch(READ_ANOMALIES, merchant_id, list(objects))}


def insert_observations(write: Write, heard: Sequence[Observation]) -> None:
    """Keep what was heard."""
    write.insert(observations, [_row(each) for each in heard])


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
