"""The index template of the log, and whether a line fits it."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

__all__ = ["FIELDS", "misfits"]

FILE: Final = Path(__file__).parents[1] / "deploy" / "elasticsearch" / "sluice-logs.json"
_MAPPINGS: Final = json.loads(FILE.read_text())["template"]["mappings"]


def _flat(properties: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, mapping in properties.items():
        if "properties" in mapping:
            yield from _flat(mapping["properties"], f"{before}{name}.")
        else:
            yield f"{before}{name}", mapping["type"]


FIELDS: Final[Mapping[str, str]] = dict(_flat(_MAPPINGS["properties"]))
"""Each field's type, by its whole name."""


def misfits(line: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """The fields of a line that are not in the template, or have a value of another type."""
    for name, value in line.items():
        whole = before + name
        if isinstance(value, dict):
            yield from misfits(value, f"{whole}.")
        elif whole not in FIELDS:
            yield f"{whole} is not in the template"
        else:
            for each in value if isinstance(value, list) else [value]:
                if each is not None and not _fits(FIELDS[whole], each):
                    yield f"{whole} is no {FIELDS[whole]}: {each!r}"


def _fits(type_: str, value: Any) -> bool:
    match type_:
        case "boolean":
            return isinstance(value, bool)
        case "long":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "date":
            return isinstance(value, str) and _is_time(value)
        case "keyword" | "match_only_text" | "wildcard":
            return isinstance(value, str)
    raise AssertionError(f"what fits {type_}?")


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
