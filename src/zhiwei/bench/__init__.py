"""The bench: how many decisions a second, how late, at what cost, beside its peers.

Everything here stands outside the server: it starts programs, sends them ISO 8583 over TCP, and
counts what comes back. It shares no code with the server that it measures, so that a fault in the
server's codec cannot hide itself in the figures.
"""
