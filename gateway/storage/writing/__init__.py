"""The hot path: what a flush reads, decides in memory and writes with one statement; one module per noun.

Whatever is written here is written for many payments at once. Reads for people stand in `gateway.storage.reading`.
"""
