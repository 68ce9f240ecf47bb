"""Schemathesis over our OpenAPI document: no 5xx, and no answer whose status, type or shape is not documented.

It runs against a world of its own, because its admin calls change the catalogue. Not here: whether everything that the
schema allows is accepted (Luhn digits and known banks are no matter of schemas).
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.settings import SAMPLE_ADMIN_TOKEN, SAMPLE_API_KEY
from tests.e2e.conftest import NewDatabase
from tests.e2e.world import World, new_world
from tests.examples import VARIABLE

SEED = "20261122"
MAX_EXAMPLES = str(2 * int(os.environ.get(VARIABLE, "1")))
"""Of each operation, beside some fifty that are the same in each run."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
ENDS_WITHIN_S = 600.0


@pytest.fixture(scope="module")
async def described(new_database: NewDatabase, psp_keys: Path) -> AsyncIterator[World]:
    async with new_world(await new_database(), psp_keys) as world:
        yield world


async def run_schemathesis(world: World, folder: Path, token: str, *words: str) -> tuple[int, str]:
    """Its exit status, and what it says."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{world.gateway}/openapi.json"]
    command += [
        "--checks",
        ",".join(CHECKS),
        "--seed",
        SEED,
        "--max-examples",
        MAX_EXAMPLES,
        "--phases",
        "examples,coverage,fuzzing",
    ]
    command += ["--header", f"Authorization: Bearer {token}", "--generation-database", "none", "--no-color", *words]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.e2e.schemathesis_hooks",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_the_calls_of_apps_answer_as_documented(described: World, tmp_path: Path) -> None:
    status, said = await run_schemathesis(described, tmp_path, SAMPLE_API_KEY, "--exclude-path-regex", "^/v1/admin")
    assert status == 0, said
    # Payments were really made, not only refused.
    assert len(await described.app.all_payments()) > 0


async def test_the_calls_of_operators_answer_as_documented(described: World, tmp_path: Path) -> None:
    status, said = await run_schemathesis(described, tmp_path, SAMPLE_ADMIN_TOKEN, "--include-path-regex", "^/v1/admin")
    assert status == 0, said
