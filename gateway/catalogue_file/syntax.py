"""From the bytes of a file to plain tables and lists: TOML or YAML by the ending; syntax errors name the line.

A number has one form: digits, perhaps with a decimal point. What one reader of YAML takes for 64 and another for 100
(`0100`), or what is a time of day to a person and 750 to YAML (`12:30`), is refused.
"""

import re
import tomllib
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import yaml

from gateway.domain.money import WrittenFloat

MAX_FILE_BYTES = 4 * 1024 * 1024
_OTHER_BASES = re.compile(r"(?<![\w.])0[xob][0-9A-Fa-f_]+")
_TOML_POSITION = re.compile(r" \((at line \d+, column \d+|at end of document)\)$")


class UnreadableFileError(Exception):
    """The file is not there, too big, or not TOML or YAML. The message says where."""


def parsed(path: Path) -> dict[str, Any]:
    """The file as a table. Raises UnreadableFileError."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UnreadableFileError(f"{path.name}: the ending must be one of {', '.join(_READERS)}")
    content = reader(_text_of(path))
    if not isinstance(content, dict):
        raise UnreadableFileError(f"{path.name}: must be a table with merchants")
    return content


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableFileError(f"{path.name}: has more than {MAX_FILE_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFileError(f"line {line}: is not UTF-8 text") from None


def _toml(text: str) -> object:
    found = _parsed_toml(text)
    if _OTHER_BASES.search(text):
        # Spoilt where they stand: inside of texts and comments that changes nothing, elsewhere it is no TOML any more.
        try:
            tomllib.loads(_OTHER_BASES.sub(lambda number: "!" * len(number.group()), text))
        except tomllib.TOMLDecodeError as error:
            raise _other_base(text, str(error)) from None
    return found


def _parsed_toml(text: str) -> object:
    try:
        return tomllib.loads(text, parse_float=WrittenFloat)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = _TOML_POSITION.search(message)
        where = found.group(1).removeprefix("at ") if found else "the file"
        raise UnreadableFileError(f"{where}: not TOML: {_TOML_POSITION.sub('', message)}") from None
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"the file: not TOML: {str(error).splitlines()[0]}") from None


def _other_base(text: str, message: str) -> UnreadableFileError:
    """The refusal of the number that spoilt the file at the place that `message` tells."""
    place = re.search(r"line (\d+), column (\d+)", message)
    if place is None:
        return UnreadableFileError("the file: not TOML: has a number that is not decimal: write it in decimal digits")
    line, column = int(place.group(1)), int(place.group(2))
    number = _OTHER_BASES.search(text.splitlines()[line - 1], column - 1)
    said = number.group() if number else "a number"
    return UnreadableFileError(
        f"line {line}, column {column}: not TOML: {said} is not decimal: write it in decimal digits, such as 100"
    )


def _yaml(text: str) -> object:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 -- derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
        raise UnreadableFileError(f"{where}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnreadableFileError(f"the file: not YAML: {str(error).splitlines()[0]}") from None


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: `on` is a word, a key given twice is an error, as in TOML."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark)
            if key in seen:
                problem = f"the key {key} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
            _require_one_form(value_node, f"{key}: ")
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        _require_one_form(node)
        return int(node.value)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        _require_one_form(node)
        return WrittenFloat(node.value)

    def construct_yaml_timestamp(self, node: yaml.ScalarNode) -> Any:
        try:
            return super().construct_yaml_timestamp(node)
        except (ValueError, OverflowError, AttributeError):
            raise yaml.constructor.ConstructorError(
                None, None, f"there is no time {node.value}", node.start_mark
            ) from None


def _require_one_form(node: yaml.Node, field: str = "") -> None:
    """Refuse a number that is not in its one form, by its place."""
    if node.tag in _ONE_FORM and not _ONE_FORM[node.tag].fullmatch(node.value):
        cure = "write a number as digits (100, 0.006), and a text in quotes"
        problem = f"{field}{node.value} can be read in more than one way: {cure}"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float"))
_ONE_FORM = {
    _INT: re.compile(r"-?(?:0|[1-9][0-9]*(?:_[0-9]+)*)", re.ASCII),
    _FLOAT: re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+", re.ASCII),
}

for _tag, _construct in ((_INT, _Loader.construct_yaml_int), (_FLOAT, _Loader.construct_yaml_float)):
    _Loader.add_constructor(_tag, _construct)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_yaml_timestamp)

# YAML 1.1 reads on, off, yes and no as booleans, which would eat the channel's field `on`. Numbers are what YAML 1.1 or
# 1.2 takes for one, so that no reader sees another value: most of those are then refused.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in {_BOOL, _INT, _FLOAT}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver(
    _INT,
    re.compile(r"^[-+]?(?:[0-9][0-9_]*|0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*(?::[0-9]{1,2})+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"^[-+]?(?:(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
        r"|[0-9][0-9_]*(?::[0-9]{1,2})+\.[0-9_]*|\.(?:inf|Inf|INF))$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)

_READERS: dict[str, Callable[[str], object]] = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml}
