"""What is seen beside the flow, from recorded rows: alerts, and the rows that the watch looks at.

Nothing of the hot path lives here, and nothing here locks a row of it.
"""
