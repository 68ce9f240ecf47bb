"""The field of how channels are watched: its schema, and its reading by `gateway.domain.watch_settings`."""

from typing import Annotated, Any, Final

from pydantic import PlainValidator, WithJsonSchema

from gateway.api.http.refusals import wrong
from gateway.domain.watch_settings import (
    DIMENSIONS,
    LONGEST_REST_S,
    LONGEST_WINDOW_S,
    MAX_AT_LEAST,
    MAX_LET_THROUGH,
    MAX_NAME,
    MAX_OWN,
    MAX_TRIES,
    SHORTEST_REST_S,
    SHORTEST_WINDOW_S,
    WatchSettings,
    WatchSettingsError,
    watch_from_json,
)

__all__ = ["WatchField"]


def _whole(least: int, most: int, about: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most, "description": about}


_RULE: Final = {
    "window_s": _whole(SHORTEST_WINDOW_S, LONGEST_WINDOW_S, "how far back is counted: 900"),
    "at_least": _whole(1, MAX_AT_LEAST, "with fewer attempts nothing is told: 20"),
    "unresolved_after_s": _whole(1, LONGEST_WINDOW_S, "from when on one without a result is no success: 60"),
    "below_percent": _whole(1, 100, "a lower share of successes is told: 60"),
    "back_at_percent": _whole(1, 100, "from this share on it is well again: 75"),
    "hide": {"type": "boolean", "description": "while it is degraded, step 1 of the router leaves it out: false"},
    "let_through": _whole(2, MAX_LET_THROUGH, "one payment in so many goes there all the same: 10"),
    "switch_off": {"type": "boolean", "description": "while it is degraded it is off, with half-open tries: false"},
    "rest_s": _whole(SHORTEST_REST_S, LONGEST_REST_S, "so long no payment goes to what is switched off: 300"),
    "tries": _whole(1, MAX_TRIES, "of so many that were let through back_at_percent must succeed: 5"),
}
_NAME: Final = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
WATCH_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "by": {
            "type": "array",
            "items": {"enum": list(DIMENSIONS)},
            "uniqueItems": True,
            "contains": {"const": "channel"},
            "description": "what is counted apart; the rest is counted together",
        },
        **_RULE,
        "own": {
            "type": "array",
            "maxItems": MAX_OWN,
            "items": {
                "type": "object",
                "properties": dict.fromkeys(DIMENSIONS, _NAME) | _RULE,
                "additionalProperties": False,
            },
            "description": "what is otherwise for a scene, a bank, a channel: what names more has the last word",
        },
    },
    "additionalProperties": False,
}


def _read(value: object) -> WatchSettings:
    try:
        return watch_from_json(value)
    except WatchSettingsError as error:
        raise wrong("invalid", str(error).strip()) from None


WatchField = Annotated[WatchSettings, PlainValidator(_read), WithJsonSchema(WATCH_SCHEMA)]
