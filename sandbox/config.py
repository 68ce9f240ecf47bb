"""What can be chosen about a sandbox; every delay in seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SandboxConfig"]


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """How one sandbox behaves. Without `data_dir` books live in memory; without `keys_dir` keys are in `data_dir/keys`,
    or in a temporary folder that goes away with the application.
    """

    data_dir: Path | None = None
    keys_dir: Path | None = None
    processing_delay_s: float = 0.2
    """From an accepted order to its final state."""
    callback_delay_s: float = 0.3
    """From the final state to the first notification."""
    late_s: float = 2.0
    """How long "processing first" and "not found first" last when a magic card or amount asks for them."""
    not_visible_s: float = 0.3
    """Allinpay only: how long a new order is answered with 1002, as section 12 of the protocol notes asks for."""
    notify_failures: bool = False
    """UnionPay and JD: whether failures are notified; public sources disagree, so the default is the harder case."""
    callback_timeout_s: float = 10.0
    callback_time_scale: float = 1.0
    """Multiplies the gaps between the five sends of a notification (0, 1, 2, 4 minutes)."""
    clock: Callable[[], float] = time.time
    """By which pages expire and payouts come back, in seconds of the epoch."""
