"""The only SQL of the gateway: tables, one module per noun, natural batching, encryption, embedded PostgreSQL.

Flows see it through `gateway.ports`; nothing here talks to a PSP or decides what a payment may do.
"""
