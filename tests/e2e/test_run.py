"""`sluice run` as a person meets it: one command, a first payment, and nothing left when it ends.

Not tested here: what the gateway does with all other payments (the other tests of this folder), and `make` itself.
"""

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.run.commands import diagnose
from gateway.run.supervising import free_port
from gateway.storage.server.embedded import EmbeddedPostgres
from tests.command_line import command
from tests.storage.test_embedded import copied

KEY = "A" * 43 + "="
WITHIN_S = 120.0
ENDED_WITHIN_S = 60.0
NO_PORT = {"SLUICE_PORT": "0", "SLUICE_SANDBOX_PORT": "0", "SLUICE_RECEIVER_PORT": "0"}
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SLUICE = [sys.executable, "-m", "gateway.run.cli"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PYTEST_"))}
    return {**kept, "SLUICE_DATA_DIR": str(folder), **NO_PORT, **more}


@contextmanager
def sluice_run(folder: Path, log: Path) -> Iterator[subprocess.Popen[str]]:
    with log.open("a") as output:
        program = subprocess.Popen([*SLUICE, "run"], env=environment(folder), stdout=output, stderr=output, text=True)
    try:
        yield program
    finally:
        if program.poll() is None:
            program.terminate()
            program.wait(ENDED_WITHIN_S)


@pytest.fixture
def made_before(request: pytest.FixtureRequest, short_folder: Path, new_cluster: Path, psp_keys: Path) -> Path:
    """A data folder with a database and the keys of the sandbox, for tests that are not about making them."""
    folder = copied(new_cluster, short_folder / f"run-{abs(hash(request.node.name))}")
    shutil.copytree(psp_keys, folder / "sandbox" / "keys")
    return folder


def running(folder: Path, program: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    """Wait until everything runs; where it is, and its processes."""
    give_up_at = time.monotonic() + WITHIN_S
    while time.monotonic() < give_up_at:
        assert program.poll() is None, log.read_text()
        if (folder / "run.json").exists() and "curl" in log.read_text():
            found: dict[str, Any] = json.loads((folder / "run.json").read_text())
            return found
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def curl(log: Path) -> dict[str, Any]:
    """Do what the printed command does."""
    command = re.search(r"curl -sS .*?\}'", log.read_text(), re.DOTALL)
    assert command is not None
    words = shlex.split(command[0].replace("\\\n", " "))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    body = words[words.index("-d") + 1].encode()
    return get(urllib.request.Request(words[2], body, headers))


def get(request: urllib.request.Request | str) -> dict[str, Any]:
    with DIRECTLY.open(request, timeout=30) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def booked(receiver: str, payment_id: str) -> dict[str, Any]:
    give_up_at = time.monotonic() + WITHIN_S
    while time.monotonic() < give_up_at:
        for booking in get(f"{receiver}/bookings")["bookings"]:
            if booking["payment_id"] == payment_id:
                told: dict[str, Any] = booking
                return told
        time.sleep(0.05)
    raise AssertionError(f"{payment_id} was never booked")


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that name the data folder or were started with it in their environment."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            words, env = (proc / "cmdline").read_bytes(), (proc / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words + env and int(proc.name) != os.getpid():
            found.append(words.replace(b"\0", b" ").decode(errors="replace"))
    return found


def until_gone(folder: Path) -> None:
    give_up_at = time.monotonic() + ENDED_WITHIN_S
    while processes_of(folder):
        assert time.monotonic() < give_up_at, processes_of(folder)
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_the_first_payment_succeeds_and_nothing_is_left_running(short_folder: Path, tmp_path: Path) -> None:
    folder, log = short_folder / "run", tmp_path / "log"
    with sluice_run(folder, log) as program:
        addresses = running(folder, program, log)
        payment = curl(log)
        with DIRECTLY.open(addresses["receiver"], timeout=30) as shop:
            assert b'id="recharge"' in shop.read(), "the shop knows its gateway"
        told = booked(addresses["receiver"], payment["id"])
        assert (told["status"], told["amount"], told["deliveries"]) == ("succeeded", 10_000, 1)
        program.send_signal(signal.SIGTERM)
        assert program.wait(ENDED_WITHIN_S) == 0
        assert "Traceback" not in log.read_text()
    until_gone(folder)

    # A second run finds the payment again; then everything is killed in the worst way.
    log.write_text("")
    with sluice_run(folder, log) as program:
        addresses = running(folder, program, log)
        assert booked(addresses["receiver"], payment["id"])["status"] == "succeeded"
        assert curl(log)["id"] != payment["id"]
        program.kill()
        program.wait()
    until_gone(folder)

    with EmbeddedPostgres(folder, tell=lambda _: None) as server:
        found = asyncio.run(diagnose(server.url))
    # The second payment may have been on its way; it must be in the books with its next thing due.
    assert not [sentence for sentence in found if "has been waiting" not in sentence]


@pytest.mark.skipif(sys.platform != "linux", reason="kills a child that it finds in /proc")
def test_a_program_that_dies_ends_all_with_its_name(made_before: Path, tmp_path: Path) -> None:
    folder, log = made_before, tmp_path / "log"
    with sluice_run(folder, log) as program:
        sandbox = running(folder, program, log)["pids"][0]
        os.kill(sandbox, signal.SIGKILL)
        assert program.wait(ENDED_WITHIN_S) == 1
    assert "sluice: sandbox ended with status -9" in log.read_text()
    until_gone(folder)


def test_a_demonstration_ends_with_equal_books(made_before: Path) -> None:
    env = environment(made_before)
    done = subprocess.run(
        [*SLUICE, "demo", "--payments", "40", "--seed", "3"], env=env, capture_output=True, text=True, check=False
    )
    assert "the books agree" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    for name in ("short", "long", "not_paid", "duplicate", "amount", "fee"):
        assert re.search(rf"planted [0-9]+ × {name} at", done.stdout), done.stdout


def test_processes_that_share_a_port_answer_with_the_metrics_of_all(database_url: str, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    keys = {"SLUICE_CARD_KEYS": f"1:{KEY}", "SLUICE_ORDER_KEY": KEY}
    env = environment(tmp_path, SLUICE_DATABASE_URL=database_url, SLUICE_PORT=str(port), **keys)
    with log.open("w") as output:
        words = [*SLUICE, "serve", "--processes", "2", "--no-workers"]
        program = subprocess.Popen(words, env=env, stdout=output, stderr=output)
    give_up_at = time.monotonic() + WITHIN_S
    while log.read_text().count('"message":"serving"') < 2:
        assert program.poll() is None, log.read_text()
        assert time.monotonic() < give_up_at, log.read_text()
        time.sleep(0.05)
    for _ in range(20):
        get(f"http://127.0.0.1:{port}/healthz")
    counted = re.findall(r'sluice_http_requests_total\{.*route="/healthz".*\} ([\d.]+)', metrics_at(port))
    assert sum(map(float, counted)) == 20
    assert looks_at_everything(port, 2) >= 2  # each process looked when it settled
    program.terminate()
    assert program.wait(ENDED_WITHIN_S) == 0


def test_a_worker_settles_as_a_server_does(database_url: str, tmp_path: Path) -> None:
    port, keys = free_port(), {"SLUICE_CARD_KEYS": "1:" + "A" * 43 + "="}
    env = environment(tmp_path, SLUICE_DATABASE_URL=database_url, SLUICE_METRICS_PORT=str(port), **keys)
    with (tmp_path / "log").open("w") as output:
        program = subprocess.Popen([*SLUICE, "worker"], env=env, stdout=output, stderr=output)
    try:
        until_listening(port, program, tmp_path / "log")
        assert looks_at_everything(port, 1) >= 1
    finally:
        program.terminate()
        assert program.wait(ENDED_WITHIN_S) == 0


def metrics_at(port: int) -> str:
    with DIRECTLY.open(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def looks_at_everything(port: int, wanted: int) -> int:
    """How often the collector looked at everything, once it is told of so many (a report a second)."""
    give_up_at = time.monotonic() + WITHIN_S
    while True:
        told = re.findall(r'sluice_gc_pause_seconds_count\{generation="2"\} ([\d.]+)', metrics_at(port))
        looks = int(sum(map(float, told)))
        if looks >= wanted or time.monotonic() > give_up_at:
            return looks
        time.sleep(0.05)


def until_listening(port: int, program: subprocess.Popen[Any], log: Path) -> None:
    give_up_at = time.monotonic() + WITHIN_S
    while True:
        assert program.poll() is None, log.read_text()
        assert time.monotonic() < give_up_at, log.read_text()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.05)


@pytest.mark.parametrize("word", ["run", "demo"])
def test_production_refuses_what_uses_public_keys(short_folder: Path, word: str) -> None:
    secrets = {"SLUICE_ADMIN_TOKEN": "own" * 11, "SLUICE_CARD_KEYS": f"1:{KEY}", "SLUICE_ORDER_KEY": KEY}
    env = environment(short_folder / "production", SLUICE_ENV="production", **secrets)
    done = command(env, word)
    assert done.returncode == 2
    assert "SLUICE_ENV is production" in done.stderr


def test_a_port_in_use_is_named_with_what_to_set(short_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = environment(short_folder / "port", SLUICE_SANDBOX_PORT=str(port))
        done = command(env, "run")
    assert done.returncode == 2
    assert f"port {port} is in use" in done.stderr
    assert "SLUICE_SANDBOX_PORT" in done.stderr
