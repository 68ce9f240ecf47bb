"""The HTTP API: parse → flow → render. Routes are a table; the OpenAPI document is made from the same table.

Nothing here decides about money, knows SQL or talks to a PSP.
"""
