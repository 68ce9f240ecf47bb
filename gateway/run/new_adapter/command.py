"""The command itself: what it says."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.run.new_adapter.writing import MAX_NAME_CHARS, NewAdapterError, Written, write_adapter

__all__ = ["new_adapter"]

EXIT_UNUSABLE = 2


def new_adapter(
    name: Annotated[
        str, typer.Argument(help=f"As catalogues will call the provider: up to {MAX_NAME_CHARS} of a-z, 0-9 and _.")
    ],
) -> None:
    """Write a new provider into this checkout: adapter, code tables, mock, contract case, and one line of the registry.

    It speaks an invented protocol, so that all its tests pass at once; then make it the PSP's own, piece by piece, as
    docs/writing-an-adapter.md says. Writes nothing when it cannot write everything.
    """
    try:
        written = write_adapter(name, Path.cwd())
    except NewAdapterError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'this checkout'}: {error.strerror or error}; nothing was written")
    else:
        for line in _told(written):
            typer.echo(line)


def _told(written: Written) -> list[str]:
    tests = f"tests/adapters/{written.name}"
    return [
        *(f"wrote {folder}: {count} files" for folder, count in written.files.items()),
        f"added to adapters/registry.py: {written.line}",
        "",
        "It speaks an invented protocol so far, and passes:",
        f"  .venv/bin/python -m pytest {tests} tests/adapters/test_on_sandbox.py -k {written.name}",
        "  make check",
        f"Make it the PSP's own: docs/writing-an-adapter.md. An account to try: adapters/{written.name}/example.toml",
    ]


def _fail(message: str) -> None:
    sys.stderr.write(f"sluice: {message}\n")
    raise typer.Exit(EXIT_UNUSABLE)
