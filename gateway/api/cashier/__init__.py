"""The pages of checkouts (收银台): which page shows, what stands on it, and what its forms do.

`standing` says how a checkout stands, `showing` what a page of it holds, `typing_card` and `typing_code` read what
people type, `calls` has the routes. What is done is `gateway.flows.cashier`; templates are in `gateway.pages`.
"""
