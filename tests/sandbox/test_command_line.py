"""Both programs as a person starts and stops them. Does not test what they answer: the other files here do."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox import __main__ as command_line
from sandbox import business_system

PATIENCE_S = 60
ARGUMENTS = {
    "sandbox": ["--data", "."],
    "sandbox.business_system": ["--secret", "whsec_c2x1aWNlIHRlc3Qgc2VjcmV0IGZvciB0ZXN0cyE="],
}
ROOT = Path(command_line.__file__).parents[1]


@contextmanager
def running(module: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, "--port", "0", *ARGUMENTS[module]]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=folder, env={"PYTHONPATH": str(ROOT)}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("module", ["sandbox", "sandbox.business_system"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(module: str, number: signal.Signals, tmp_path: Path, keys: Path) -> None:
    (tmp_path / "keys").symlink_to(keys)
    with running(module, tmp_path) as process:
        assert process.stdout is not None
        assert "listening on http://127.0.0.1:" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("main", [command_line.main, business_system.main])
def test_a_port_in_use_is_said_in_one_line(main: object, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ["--port", port]
        if main is business_system.main:
            arguments += ARGUMENTS["sandbox.business_system"]
            status = business_system.main(arguments)
        else:
            status = command_line.main(arguments)
    assert status == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"port {port} is in use" in error


def test_keys_are_written_without_serving(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["keys", "--data", str(tmp_path)]) == 0
    assert str(tmp_path / "keys") in capsys.readouterr().out
    account = json.loads((tmp_path / "keys" / "allinpay" / "account.json").read_text())
    assert set(account) == {"merchant_id", "user_name", "user_pass"}


@pytest.mark.parametrize("secret", ["whsec_...", "whsec_a", "whsec_密"])
def test_a_secret_that_cannot_be_used_is_said_in_one_line(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert business_system.main(["--port", "0", "--secret", secret]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "make one with: whsec_$(head -c 24 /dev/urandom | base64)" in error
    assert secret not in error


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--gateway", "http://127.0.0.1:8080"], "give both --gateway (SLUICE_RECEIVER_GATEWAY) and --key"),
        (["--key", "sk_x"], "give both --gateway (SLUICE_RECEIVER_GATEWAY) and --key"),
        (["--gateway", "127.0.0.1:8080", "--key", "sk_x"], "--gateway must be an http(s) address"),
        (["--gateway", "http://x:y", "--key", "sk_x"], "--gateway must be an http(s) address"),
        (["--gateway", "http://x", "--key", "sk \n"], "--key is not an app's key"),
        (["--inbox", "javascript:alert(1)"], "--inbox must be an http(s) address"),
    ],
)
def test_a_gateway_that_cannot_be_used_is_said(given: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        business_system.main(["--port", "0", *ARGUMENTS["sandbox.business_system"], *given])
    assert says in capsys.readouterr().err.replace("\n", " ")
