"""Watching: what is read beside the flow, and what it tells people. Nothing here is on the way of a payment."""
