"""Amounts (fen) that ask any provider for an outcome, without a call of the control API."""

from typing import Final

__all__ = ["CALLBACK_LOST", "ERROR_AFTER", "LATE_DECLINE", "LATE_SUCCESS", "NOT_FOUND_FIRST", "RESET_AFTER"]

LATE_SUCCESS: Final = 980001
"""Processing first, success after the configured late time."""
RESET_AFTER: Final = 980002
"""The work is done, then the connection is reset."""
LATE_DECLINE: Final = 980003
"""Processing first, balance short after the configured late time."""
ERROR_AFTER: Final = 980004
"""The work is done, the answer is an HTTP 502."""
NOT_FOUND_FIRST: Final = 980005
"""The work is done, the answer is an HTTP 502, and queries do not find the order for the configured late time."""
CALLBACK_LOST: Final = 980006
"""The work is done and no notification leaves (providers with callbacks)."""
