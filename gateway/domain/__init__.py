"""Pure values and rules: payments and their transition table, cards, outcomes, failures, the catalogue, events.

No I/O, no clock, no randomness, no framework: everything here is a function of its arguments.
"""
