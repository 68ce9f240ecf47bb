"""The payment gateway: domain, flows, storage, API and workers.

PSP protocols live in `adapters`, channel choice in `router`; `bootstrap` is the only place that wires them together.
"""
