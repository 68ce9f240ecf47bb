"""The pool of connections: bounded waits, JSON by orjson, times in UTC."""

from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.database_url import with_driver
from gateway.storage.server.connect import Connect
from gateway.storage.server.sessions import watch

__all__ = ["STATEMENT_TIMEOUT_MS", "AsyncEngine", "create_engine"]

POOL_NAME = "sluice"
"""The `application_name` of every connection of a process that serves or works."""
STATEMENT_TIMEOUT_MS = 15_000
LOCK_TIMEOUT_MS = 1_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000
ANSWER_MARGIN_S = 1.0
WAIT_FOR_CONNECTION_S = 10.0
CACHED_STATEMENTS = 256


def _to_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def create_engine(
    url: str, pool_size: int, *, application_name: str = POOL_NAME, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> AsyncEngine:
    """An engine for a `postgresql://` URL (`postgresql+asyncpg://` is taken as that). Raises DatabaseUrlError."""
    creator = Connect(url).for_engine(
        command_timeout=command_timeout_s(statement_timeout_ms),
        server_settings=server_settings(application_name, statement_timeout_ms),
    )
    return watch(
        create_async_engine(
            with_driver(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=WAIT_FOR_CONNECTION_S,
            pool_pre_ping=False,  # `watch` looks without asking the server
            json_serializer=_to_json,
            json_deserializer=orjson.loads,
            hide_parameters=True,  # a statement that fails must not print what it was given
            connect_args={"async_creator_fn": creator, "prepared_statement_cache_size": CACHED_STATEMENTS},
        )
    )


def server_settings(
    application_name: str, statement_timeout_ms: int, idle_in_transaction_ms: int = IDLE_IN_TRANSACTION_TIMEOUT_MS
) -> dict[str, str]:
    """What every session of ours is told at its start."""
    return {
        "application_name": application_name,
        "timezone": "UTC",
        "jit": "off",
        "statement_timeout": str(statement_timeout_ms),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(idle_in_transaction_ms),
    }


def command_timeout_s(statement_timeout_ms: int) -> float:
    """How long an answer is waited for: the server's own limits do not help when it is the server that is gone."""
    return statement_timeout_ms / 1000 + ANSWER_MARGIN_S
