"""The watches beside the flow, wired: what they read is recorded, and what they find is told to people."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime

from uuid_utils.compat import uuid7

from gateway.domain.catalogue import Catalogue
from gateway.storage.catalogue.blocks import BlockStore
from gateway.storage.keys import OrderKey
from gateway.storage.reading.snapshots import SnapshotStore
from gateway.storage.server.database import Database
from gateway.storage.watching.alerts import AlertStore
from gateway.storage.watching.channel_alerts import ChannelAlertStore
from gateway.storage.watching.rates import RateStore
from gateway.storage.watching.standing import StandingStore
from gateway.storage.watching.switches import SwitchStore
from gateway.storage.watching.transactions import TransactionStore
from gateway.watch.board import AlertBoard
from gateway.watch.channels import ChannelWatch
from gateway.watch.standing import StandingWatch
from gateway.watch.transactions import TransactionWatch

__all__ = ["watch_ticks"]


def watch_ticks(
    stack: AsyncExitStack,
    database: Database,
    snapshots: SnapshotStore,
    transactions: TransactionStore,
    blocks: BlockStore,
    order_key: OrderKey,
    catalogue: Callable[[], Catalogue],
    clock: Callable[[], datetime],
) -> dict[str, Callable[[], Awaitable[object]]]:
    """The jobs of the schedule that look at channels, at what stands and waits, and at transactions.

    What they have begun ends with the `stack`.
    """
    alerts = AlertStore(database, uuid7, catalogue)
    board = AlertBoard(alerts, catalogue, clock)
    channels = ChannelWatch(
        RateStore(database), ChannelAlertStore(database, catalogue, uuid7), alerts, SwitchStore(database, alerts),
        catalogue, clock, time.monotonic, uuid7(),
    )  # fmt: skip
    stack.push_async_callback(channels.close)
    standing = StandingWatch(StandingStore(database), snapshots.standing, board, catalogue, clock, time.monotonic)
    suspicious = TransactionWatch(
        transactions, board, blocks, order_key.print_of_user, catalogue, clock, time.monotonic
    )  # fmt: skip
    stack.push_async_callback(suspicious.close)
    return {"channels": channels.tick, "standing": standing.tick, "transactions": suspicious.tick}
