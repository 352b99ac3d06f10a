"""The ISO 8583 door: card messages over TCP, as acquirers, switches and terminals send them.

`frame` cuts a receive buffer into frames, `codec` reads and writes one message by a `dialect` (a
table, never code), `message` is what was read, with every secret already dropped or masked.
"""
