"""References in a catalogue file: `${VARIABLE}` inside texts, and texts that stand elsewhere (`env`, `file`)."""

import re
from collections.abc import Mapping
from pathlib import Path

import orjson

MAX_REFERENCED_BYTES = 64 * 1024
"""A key, a certificate or an account file is never longer."""
MAX_DEPTH = 20

_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORMS = ({"env"}, {"file"}, {"file", "json_key"})


class DeadReferenceError(Exception):
    """A reference that leads nowhere. The message never holds what was found, only where it was looked for."""


class Resolver:
    """Replaces every reference below a value. Problems are collected, so that all of them are told at once."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder, self._environ = folder, environ
        self.problems: dict[str, str] = {}
        """Path in the file → what is wrong there."""

    def resolve(self, value: object, path: str = "", depth: int = 0) -> object:
        """The value with every reference replaced. Where one cannot be, an empty text stands and a problem is kept."""
        if depth > MAX_DEPTH:
            self.problems[path] = f"is nested more than {MAX_DEPTH} deep"
            return ""
        try:
            if isinstance(value, str):
                return self._substituted(value)
            if isinstance(value, dict) and set(value) in _FORMS:
                return self._referenced(value)
        except DeadReferenceError as problem:
            self.problems[path] = str(problem)
            return ""
        if isinstance(value, dict):
            return {key: self.resolve(part, joined(path, str(key)), depth + 1) for key, part in value.items()}
        if isinstance(value, list):
            return [self.resolve(part, f"{path}[{number}]", depth + 1) for number, part in enumerate(value)]
        return value

    def _substituted(self, text: str) -> str:
        return _VARIABLE.sub(lambda found: "${" if found.group(1) is None else self._variable(found.group(1)), text)

    def _variable(self, name: str) -> str:
        if not _VARIABLE_NAME.fullmatch(name):
            # It may be part of a password, so it is not shown.
            raise DeadReferenceError("has ${…} without the name of a variable; a plain ${ is written $${")
        value = self._environ.get(name)
        if not value:
            raise DeadReferenceError(f"the environment variable {name} is not set")
        return value

    def _referenced(self, reference: Mapping[str, object]) -> str:
        for key, part in reference.items():
            if not isinstance(part, str) or not part:
                raise DeadReferenceError(f"{key} must be text")
        if "env" in reference:
            return self._variable(str(reference["env"]))
        path = self._folder / self._substituted(str(reference["file"]))
        text = _text_of(path)
        return _member(path, text, str(reference["json_key"])) if "json_key" in reference else text.strip("\r\n")


def joined(path: str, key: str) -> str:
    """The path of a member."""
    return f"{path}.{key}" if path else key


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_REFERENCED_BYTES + 1)
    except OSError as error:
        raise DeadReferenceError(f"the file {path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_REFERENCED_BYTES:
        raise DeadReferenceError(f"the file {path} has more than {MAX_REFERENCED_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise DeadReferenceError(f"the file {path} is not UTF-8 text") from None
    if not text.strip():
        raise DeadReferenceError(f"the file {path} is empty")
    return text


def _member(path: Path, text: str, key: str) -> str:
    try:
        members = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise DeadReferenceError(f"the file {path} is not JSON") from None
    value = members.get(key) if isinstance(members, dict) else None
    if not isinstance(value, str) or not value:
        raise DeadReferenceError(f"the file {path} has no text {key}")
    return value
