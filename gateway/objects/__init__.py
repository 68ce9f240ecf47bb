"""How each object is shown: to apps, to operators, and in the bodies of events, by the same function.

Values in, plain JSON out. Nothing here reads a database, asks a provider or decides.
"""
