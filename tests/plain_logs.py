"""How tests log that have not said how: a line is made in a tenth of the time that one for a person's eyes takes."""

import structlog

__all__ = ["log_plainly"]


def log_plainly() -> None:
    """Log so, and forget what was configured before."""
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper("%H:%M:%S", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ]
    )
