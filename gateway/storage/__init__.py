"""The only SQL of the gateway: `server` (connections, migrations), `writing` (the hot path), `catalogue`, `reading`.

Flows see it through `gateway.ports`; nothing here talks to a PSP or decides what a payment may do.
"""
