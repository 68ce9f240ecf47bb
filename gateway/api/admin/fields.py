"""Bounds of fields that several of the operators' requests have."""

__all__ = ["MAX_INT32", "MAX_NAME", "MAX_NOTE"]

MAX_NAME, MAX_NOTE = 100, 500
MAX_INT32 = 2**31 - 1
