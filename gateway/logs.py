"""Logs: JSON lines with ECS field names on stderr, or readable lines when stderr is a terminal.

Callers never log card data; the redaction here is the second belt, for what a library or a mistake lets through.
Why not `ecs-logging`: docs/adr/0013-libraries-and-what-stays-by-hand.md.
"""

import contextlib
import logging
import os
import re
import select
import stat
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.refused_rows import forget_row, without_row

__all__ = ["SERVICE", "configure", "get", "write"]

SERVICE = "sluice"
ECS_VERSION = "8.11.0"
REDACTED = "[redacted]"
MAX_VALUE_CHARS = 8_192
"""Longer texts are cut: a log line is no archive."""

SECRET_FIELDS = frozenset(
    {
        "card_no", "holder_name", "id_no", "phone", "sms_code", "card", "elements", "agreement_no", "account_no",
        "authorization", "api_key", "admin_token", "token", "password", "secret", "secrets", "card_keys", "order_key",
        "data_key", "body",
    }
)  # fmt: skip
"""Fields whose values never appear, whatever is in them."""

ECS_NAMES: Mapping[str, str] = {
    "logger": "log.logger",
    "action": "event.action",
    "outcome": "event.outcome",
    "reason": "event.reason",
    "trace_id": "trace.id",
    "request_id": "http.request.id",
    "method": "http.request.method",
    "status_code": "http.response.status_code",
    "route": "url.path",
    "pid": "process.pid",
    "user_id": "user.id",
}
"""Names as callers write them, and as ECS has them; what is not here goes below `sluice.`.

Time, level and message are every line's first, in this order, as the specification of ECS logging asks.
"""

_LONG_NUMBER = re.compile(r"(?<!\d)(\d{4})\d{8,11}(\d{3}[\dXx])(?!\d)")
"""Card numbers (16 to 19 digits) and ID numbers (18, the last perhaps an X); the ends stay, to tell them apart by."""
SMALLEST_LONG_NUMBER = 10**15
LOST = "lines of the log were lost: nobody read it"


def configure(level: str = "info", *, console: bool | None = None, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging, once per process.

    `level` is debug, info, warning or error; `console` None means readable lines when the stream is a terminal.
    """
    given = stream or sys.stderr
    readable = given.isatty() if console is None else console
    stream = given if readable else cast("TextIO", _Unblocked(given))
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        redact,
    ]
    last = _readable(colours=given.isatty()) if readable else _ecs()
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(stream) if readable else _Lines(stream, threshold),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:-1], structlog.stdlib.add_logger_name, _standard_message, redact],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries tell more than a payment system wants to keep: their info lines stay out.
    root.setLevel(max(threshold, logging.WARNING))


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger: `get(__name__).info("payment opened", payment_id=…, channel=…)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**{"log.logger": name})
    return logger


class _Unblocked:
    """A stream of lines that never holds the process up: where it is a pipe that is full, a line is lost, and counted.

    Whoever reads the log may stand still; payments must not. A line longer than a pipe takes at once may still wait.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0
        self._room: select.poll | None = None
        try:
            mode = os.fstat(stream.fileno()).st_mode
        except (OSError, ValueError):  # a stream in memory
            return
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            self._room = select.poll()
            self._room.register(stream.fileno(), select.POLLOUT)

    def write(self, line: str) -> None:
        if self._room is not None and not self._room.poll(0):
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            line = f"{_ecs_text(None, '', {'level': 'warning', 'event': LOST, 'lost': lost})}\n{line}"
        self._stream.write(line)

    def flush(self) -> None:
        self._stream.flush()


class _Lines(structlog.WriteLoggerFactory):
    """Where lines go that need no processor: known by its type, so it ends with the configuration that holds it."""

    def __init__(self, stream: TextIO, threshold: int) -> None:
        super().__init__(stream)
        self.stream, self.threshold = stream, threshold


def write(logger: str, level: Literal["info", "warning"], message: str, fields: dict[str, Any]) -> None:
    """A line of the hot path: no processor sees it, so nothing of it is redacted.

    `fields` have their ECS names, and hold texts and numbers of our own making (`clean` those that are not). Where
    nobody reads the log any more, nothing is told and the work goes on.
    """
    factory = structlog.get_config()["logger_factory"]
    if not isinstance(factory, _Lines):
        getattr(get(logger), level)(message, **fields)
    elif _LEVELS[level] >= factory.threshold:
        line = {
            "@timestamp": datetime.now(UTC),
            "log.level": level,
            "message": message,
            "ecs.version": ECS_VERSION,
            "service.name": SERVICE,
            "log.logger": logger,
            **fields,
        }
        with contextlib.suppress(OSError, ValueError):  # a broken pipe, a closed file
            factory.stream.write(orjson.dumps(line, option=_AS_A_LINE).decode())
            factory.stream.flush()


_LEVELS = {"info": logging.INFO, "warning": logging.WARNING}
_AS_A_LINE = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Blank fields that are secret by name, and the middle of every number as long as a card's or an ID's."""
    for name, value in event.items():
        if name in SECRET_FIELDS:
            event[name] = REDACTED
        elif type(value) is not bool and value is not None:
            event[name] = _clean(value)
    return event


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int):
        return clean(str(value)) if abs(value) >= SMALLEST_LONG_NUMBER else value
    if isinstance(value, bytes | bytearray | memoryview):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(key): REDACTED if key in SECRET_FIELDS else _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and not _is_exception_triple(value):
        return [_clean(inner) for inner in value]
    return value


def _is_exception_triple(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and isinstance(value[1], BaseException)


def clean(text: str) -> str:
    """The text with long numbers masked, nothing that PostgreSQL quoted, and cut at its greatest length."""
    if "DETAIL: " in text or "CONTEXT: " in text:
        text = without_row(text)
    if len(text) > MAX_VALUE_CHARS:
        text = text[:MAX_VALUE_CHARS] + "…"
    return _LONG_NUMBER.sub(r"\1******\2", text) if len(text) >= 16 else text


def _standard_message(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord | None = event.get("_record")
    if record is not None:
        event["pid"] = record.process
    return event


def _readable(*, colours: bool) -> list[Processor]:
    return [
        structlog.processors.TimeStamper("%H:%M:%S", utc=False),
        _error_text,
        structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback),
    ]


def _ecs() -> list[Processor]:
    return [_error_fields, _ecs_text]


def _error_of(event: EventDict) -> BaseException | None:
    given = event.pop("exc_info", None)
    error: BaseException | None = sys.exc_info()[1] if given else None
    if isinstance(given, BaseException):
        error = given
    elif _is_exception_triple(given):
        error = given[1]
    if error is not None:
        forget_row(error)
    return error


def _error_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    error = _error_of(event)
    if error is not None:
        event["error.type"] = type(error).__qualname__
        event["error.message"] = clean(str(error))
        event["error.stack_trace"] = _stack(error)
    return event


def _error_text(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    error = _error_of(event)
    if error is not None:
        event["exception"] = _stack(error)
    return event


def _stack(error: BaseException) -> str:
    return clean("".join(traceback.format_exception(error)))


def _ecs_text(_: WrappedLogger, __: str, event: EventDict) -> str:
    line: dict[str, Any] = {
        "@timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "log.level": event.pop("level", None),
        "message": event.pop("event", None),
        "ecs.version": ECS_VERSION,
        "service.name": SERVICE,
    }
    for name, value in event.items():
        line[_ecs_name(name)] = value
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _ecs_name(name: str) -> str:
    return ECS_NAMES.get(name) or (name if "." in name else f"sluice.{name}")
