"""The command line without a program of its own, which takes a second or two of a processor to start."""

import io
import logging
import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest
import structlog

from gateway.run.cli import app


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: what `subprocess.run` would say."""

    returncode: int
    stdout: str
    stderr: str


def command(environment: Mapping[str, str], *words: str) -> Ended:
    """Run `sluice` with these words in this process; of the variables SLUICE_… it sees those that are given."""
    root, out, err = logging.getLogger(), io.StringIO(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("SLUICE_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            app(words, prog_name="sluice")
            status: object = 0
        except SystemExit as end:
            status = end.code
        finally:
            structlog.reset_defaults()
            root.handlers[:] = handlers
            root.setLevel(level)
    assert isinstance(status, int), status
    return Ended(status, out.getvalue(), err.getvalue())
