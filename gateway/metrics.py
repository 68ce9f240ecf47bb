"""Prometheus metrics of every stage, and their text.

With several processes behind one port each writes to files in `PROMETHEUS_MULTIPROC_DIR`, which the supervising
command sets before they start; whichever process is asked then answers for all of them.
"""

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

__all__ = [
    "ACCOUNT_BALANCE_AGE_SECONDS",
    "ACCOUNT_BALANCE_FEN",
    "ACCOUNT_BALANCE_LOW",
    "ALERTS_OPEN",
    "ANOMALIES",
    "CALLBACKS",
    "CATALOGUE_VERSION",
    "CHANNEL_ATTEMPTS",
    "CHANNEL_DEGRADED",
    "CHANNEL_SUCCESSES",
    "CLOCK_OFFSET_SECONDS",
    "CLOCK_RIGHT",
    "CONNECTION_WAIT_SECONDS",
    "CONTENT_TYPE",
    "DELIVERIES",
    "DELIVERIES_HELD",
    "DELIVERY_SECONDS",
    "DIFFERENCES_OPEN",
    "DISAGREEMENTS",
    "EMBEDDED_DATABASE",
    "ENDPOINTS_STOPPED",
    "EVENTS",
    "FLUSH_SECONDS",
    "FLUSH_SIZE",
    "GC_PAUSE_SECONDS",
    "HTTP_REQUESTS",
    "HTTP_SECONDS",
    "LAST_TICK",
    "LATE_WORD_SECONDS",
    "OLDEST_OPEN_SECONDS",
    "OLDEST_SNAPSHOT_SECONDS",
    "OPEN_PAYMENTS",
    "PAYMENTS_ENDED",
    "POLLS_CLAIMED",
    "PROCESSES_LIVE",
    "PSP_CALLS",
    "PSP_SECONDS",
    "QUEUE_LENGTH",
    "UNKNOWN_SECONDS",
    "forget_process",
    "render",
]

# A second series per counter that nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = CONTENT_TYPE_LATEST
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WAITS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0)
PAUSES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

HTTP_REQUESTS = Counter("sluice_http_requests", "Requests answered", ["method", "route", "status"])
HTTP_SECONDS = Histogram("sluice_http_request_seconds", "Time to the answer", ["route"], buckets=SECONDS)

FLUSH_SIZE = Histogram("sluice_flush_size", "Requests written by one transaction", ["flush"], buckets=SIZES)
"""`flush`: open, record, deliveries."""
FLUSH_SECONDS = Histogram("sluice_flush_seconds", "Time of one transaction", ["flush"], buckets=SECONDS)
CONNECTION_WAIT_SECONDS = Histogram(
    "sluice_connection_wait_seconds", "Time until a pool had a connection to the database", ["pool"], buckets=SECONDS
)
"""`pool`: the connections' application_name. Who waits in vain is answered, or tries again, and is not in it."""
QUEUE_LENGTH = Gauge("sluice_queue_length", "Requests that wait for a flush", ["queue"], multiprocess_mode="livesum")

PSP_CALLS = Counter(
    "sluice_psp_calls", "Calls to PSPs by what they told", ["merchant", "account", "operation", "outcome"]
)
PSP_SECONDS = Histogram(
    "sluice_psp_call_seconds", "Time of a call to a PSP", ["merchant", "account", "operation"], buckets=SECONDS
)
CALLBACKS = Counter("sluice_callbacks", "Callbacks of PSPs", ["merchant", "account", "result"])
POLLS_CLAIMED = Counter("sluice_polls_claimed", "Payments taken up because something was due", ["kind"])

EVENTS = Counter("sluice_events", "Events recorded", ["type"])
DELIVERIES = Counter("sluice_deliveries", "Tries to deliver a notification", ["result"])
"""`result`: delivered, retry, dead, stopped (answered 410), held (its endpoint was stopped before), discarded."""
ENDPOINTS_STOPPED = Gauge(
    "sluice_endpoint_stopped",
    "1 while an endpoint is stopped and its events are held",
    ["merchant", "endpoint"],
    multiprocess_mode="livemax",
)
DELIVERIES_HELD = Gauge(
    "sluice_deliveries_held",
    "Notifications that are held because their endpoint is stopped, counted up to 100000",
    ["merchant", "endpoint"],
    multiprocess_mode="livemostrecent",
)
DELIVERY_SECONDS = Histogram("sluice_delivery_seconds", "Time of one try to deliver", buckets=SECONDS)
DISAGREEMENTS = Counter(
    "sluice_disagreements",
    "Payments and authentications refused for an identity that an account verified",
    ["merchant", "account", "code"],
)
ANOMALIES = Counter("sluice_anomalies", "Late observations that contradict a final state", ["kind"])

UNKNOWN_SECONDS = Histogram(
    "sluice_unknown_seconds",
    "Time from what was sent to its end, where its own answer did not tell it",
    ["verb", "ended_by"],
    buckets=WAITS,
)
"""`ended_by`: poll, callback, operator."""
LATE_WORD_SECONDS = Histogram(
    "sluice_late_word_seconds",
    "Time from an end without the payment company's word to its late word",
    ["verb", "says"],
    buckets=WAITS,
)
"""`says`: done (a late success), refused (the end was right)."""

PAYMENTS_ENDED = Counter(
    "sluice_payments_ended", "Payments that ended", ["merchant", "channel", "scene", "status", "failure_code"]
)
"""`channel` is empty where the router chose none, `failure_code` where it did not fail."""
OPEN_PAYMENTS = Gauge(
    "sluice_open_payments", "Payments that are open", ["merchant", "channel"], multiprocess_mode="livemostrecent"
)
OLDEST_OPEN_SECONDS = Gauge(
    "sluice_oldest_open_payment_seconds",
    "Age of the oldest open payment, 0 without any",
    ["merchant", "channel"],
    multiprocess_mode="livemostrecent",
)

ACCOUNT_BALANCE_FEN = Gauge(
    "sluice_account_balance_fen",
    "What an account at a payment company has, as it last stated it; no value while it states none",
    ["merchant", "account", "of"],
    multiprocess_mode="livemostrecent",
)
"""`of`: payouts, refunds (what these can take), total."""
ACCOUNT_BALANCE_AGE_SECONDS = Gauge(
    "sluice_account_balance_age_seconds",
    "Age of that statement; without one, since when it is asked",
    ["merchant", "account"],
    multiprocess_mode="livemostrecent",
)
ACCOUNT_BALANCE_LOW = Gauge(
    "sluice_account_balance_low",
    "1 while an account has less than its balance_alert_below, by its last statement",
    ["merchant", "account"],
    multiprocess_mode="livemostrecent",
)
ALERTS_OPEN = Gauge(
    "sluice_alerts_open",
    "Alerts that are raised and not cleared, by what they are about",
    ["merchant", "kind"],
    multiprocess_mode="livemostrecent",
)
CHANNEL_ATTEMPTS = Gauge(
    "sluice_channel_attempts",
    "Attempts of the sliding window that count for a success rate",
    ["merchant", "scene", "bank", "channel", "of"],
    multiprocess_mode="livemostrecent",
)
"""`of`: raw, channel_fault. The rate: `sluice_channel_successes / (sluice_channel_attempts > 0)`, none without any."""
CHANNEL_SUCCESSES = Gauge(
    "sluice_channel_successes",
    "How many of them succeeded",
    ["merchant", "scene", "bank", "channel", "of"],
    multiprocess_mode="livemostrecent",
)
CHANNEL_DEGRADED = Gauge(
    "sluice_channel_degraded",
    "1 while too few payments of a channel succeed",
    ["merchant", "scene", "bank", "channel"],
    multiprocess_mode="livemostrecent",
)
DIFFERENCES_OPEN = Gauge(
    "sluice_differences_open",
    "Differences of an account's reconciliation that wait for a person",
    ["merchant", "account"],
    multiprocess_mode="livemostrecent",
)
STATEMENTS_LATE = Gauge(
    "sluice_statements_late",
    "Statements of an account that stay away for hours after they should be there",
    ["merchant", "account"],
    multiprocess_mode="livemostrecent",
)

LAST_TICK = Gauge(
    "sluice_last_tick_timestamp_seconds", "When a worker's job last ran", ["tick"], multiprocess_mode="livemax"
)
"""`tick`, not `job`: every series that Prometheus scrapes has a `job` of its own."""
CATALOGUE_VERSION = Gauge("sluice_catalogue_version", "Version of the catalogue in force", multiprocess_mode="livemin")
CLOCK_OFFSET_SECONDS = Gauge(
    "sluice_clock_offset_seconds", "How far ahead of the database's clock a process's is", multiprocess_mode="liveall"
)
CLOCK_RIGHT = Gauge(
    "sluice_clock_right", "0 when a process takes nothing, because of its clock", multiprocess_mode="livemin"
)
PROCESSES_LIVE = Gauge(
    "sluice_processes_live", "Processes that share what a channel carries", multiprocess_mode="livemax"
)
GC_PAUSE_SECONDS = Histogram(
    "sluice_gc_pause_seconds", "Time that one look of Python's collector took", ["generation"], buckets=PAUSES
)
"""`generation`: 0 (the youngest) to 2 (everything). Nothing else runs in that time."""
OLDEST_SNAPSHOT_SECONDS = Gauge(
    "sluice_oldest_snapshot_seconds", "Age of the oldest transaction that holds a snapshot", multiprocess_mode="livemax"
)
EMBEDDED_DATABASE = Gauge(
    "sluice_embedded_database", "1 when the database is the program's own", multiprocess_mode="livemax"
)


def render() -> bytes:
    """The metrics of this process, or of all that share the port, in Prometheus' text format."""
    if DIRECTORY_VARIABLE not in os.environ:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together)


def forget_process(pid: int, folder: str) -> None:
    """Leave what a process that has ended said of its own state out; what it counted stays."""
    mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
