"""PSP adapters: one module per wire protocol; `http` is the wire, `signing` the cryptography, `registry` the list.

An adapter turns a command into one request and an answer into an outcome. It knows `gateway.ports` and
`gateway.domain`, and neither storage, flows, the clock, the environment nor another adapter.
"""
