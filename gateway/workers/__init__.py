"""What runs beside the requests: polling, notifications, expiry, and the ticks that wake them.

A worker claims in the database, does the work outside any transaction, and records it; it keeps no state that matters.
"""
