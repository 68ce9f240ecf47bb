"""`python -m sandbox`: serve the mock providers, or only write their keys."""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from sandbox.app import SandboxConfig, build_app
from sandbox.journal import JournalUnreadableError
from sandbox.keys import KeysUnreadableError
from sandbox.mocks import prepare_keys
from sandbox.serve import EXIT_UNUSABLE, serve

PORT_VARIABLE: Final = "SLUICE_SANDBOX_PORT"
DEFAULT_PORT: Final = "8090"


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError("must be from 0 to 3600 seconds")
    return value


def _parser() -> argparse.ArgumentParser:
    usual = SandboxConfig()
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Mock payment companies that speak the real wire protocols. Paths and files: sandbox/README.md.",
        epilog="Magic cards and amounts, faults and the control API are listed in sandbox/README.md.",
    )
    parser.add_argument(
        "command", nargs="?", default="serve", choices=("serve", "keys"), help="serve (default), or only write the keys"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get(PORT_VARIABLE, DEFAULT_PORT),
        help=f"port to listen on (default {DEFAULT_PORT}, or {PORT_VARIABLE})",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder for keys and books; without it both are forgotten at the end",
    )
    parser.add_argument(
        "--processing-delay-s",
        type=_seconds,
        default=usual.processing_delay_s,
        metavar="S",
        help="from an accepted order to its final state (default %(default)s)",
    )
    parser.add_argument(
        "--callback-delay-s",
        type=_seconds,
        default=usual.callback_delay_s,
        metavar="S",
        help="from the final state to the first notification (default %(default)s)",
    )
    parser.add_argument("--notify-failures", action="store_true", help="unionpay and jd notify failures too")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status: 0, or 2 when it cannot start."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "keys":
            if chosen.data is None:
                parser.error("keys needs --data DIR")
            prepare_keys(chosen.data / "keys")
            sys.stdout.write(f"keys: {chosen.data / 'keys'}\n")
            return 0
        config = SandboxConfig(
            data_dir=chosen.data,
            processing_delay_s=chosen.processing_delay_s,
            callback_delay_s=chosen.callback_delay_s,
            notify_failures=chosen.notify_failures,
        )
        return serve(lambda: build_app(config), chosen.host, chosen.port, name="sandbox", port_variable=PORT_VARIABLE)
    except (KeysUnreadableError, JournalUnreadableError) as unusable:
        sys.stderr.write(f"sandbox: {unusable}\n")
    except OSError as error:
        sys.stderr.write(f"sandbox: cannot use {error.filename or chosen.data}: {error.strerror or error}\n")
    return EXIT_UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
