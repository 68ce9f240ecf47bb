"""Reconciliation (对账): our records against a provider's.

`running` takes a day from its statement to what our books hear of it; `fee_rules` proposes fees that explain a
statement better; `comparison` compares two sides' books of the same payments, for the demo and the tests. The
comparison of a day is one statement of SQL: `gateway.storage.reconciling.comparing`.
"""
