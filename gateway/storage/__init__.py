"""The only SQL of the gateway: `server` (connections, migrations), `writing` (the hot path), `catalogue`, `reading`.
Off the hot path: `reconciling` and `watching`, whose events `merchant_events` writes.

Flows see it through `gateway.ports`; nothing here talks to a PSP or decides what a payment may do.
"""
