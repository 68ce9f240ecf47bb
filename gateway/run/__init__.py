"""What starts, supervises and stops processes: commands, serving, the development system, the demo, and the wiring.

Everything is built and wired here (`gateway.run.wiring`) and nowhere else; no rule about money stands here.
"""
