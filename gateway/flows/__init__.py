"""One file per thing the gateway does, readable as prose: open, pay, authenticate, observe, notify, poll.

Flows decide and call the ports; they know no SQL, no HTTP server and no PSP's wire format.
"""
