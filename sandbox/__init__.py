"""Mock payment companies that speak the real wire protocols, and a sample business system.

Here live their servers, books, faults and keys. Nothing of gateway, adapters, router or reconciliation may be imported:
a mistake in signing that both sides shared would cancel out.
"""
