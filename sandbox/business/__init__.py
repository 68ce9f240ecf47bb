"""A sample business system that lends money: a shop whose payers go to the gateway's cashier, and a receiver that books
what notifications say.

It calls the gateway's API as any business system would, and knows nothing of its code.
"""
