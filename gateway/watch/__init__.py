"""What is watched beside the flow: success rates of channels, and everything that a person should be told of.

It is computed from recorded rows, never by code planted in the flows, and holds up nothing of them.
"""
