"""From the bytes of a file to plain tables and lists: TOML or YAML by the ending; syntax errors name the line."""

import re
import tomllib
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import yaml

MAX_FILE_BYTES = 4 * 1024 * 1024
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
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = _TOML_POSITION.search(message)
        where = found.group(1).removeprefix("at ") if found else "the file"
        raise UnreadableFileError(f"{where}: not TOML: {_TOML_POSITION.sub('', message)}") from None


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
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark)
            if key in seen:
                problem = f"the key {key} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads on, off, yes and no as booleans, which would eat the channel's field `on`.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))

_READERS: dict[str, Callable[[str], object]] = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml}
