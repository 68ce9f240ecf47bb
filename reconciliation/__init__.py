"""Reconciliation (对账): our records against a provider's.

Today two sides' books of the same payments are compared (`books`); statements and their differences come here too.
Nothing here talks to a provider or changes a payment.
"""
