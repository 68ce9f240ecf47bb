"""What measures speed: `python -m benchmarks` (docs/benchmarks.md).

Never part of the tests, and imported by nobody. It may import the gateway, to prove after each load that its books are
whole; the mock PSPs and the load generator run in processes of their own.
"""
