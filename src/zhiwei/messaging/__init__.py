"""Messaging: what is written with a decision reaches people, and their answers come back.

An event of the outbox becomes messages (`planner`), each to one address in one lane; the outbox
(`outbox`) hands the first of each lane to its channel, again and again until the channel has taken
it or it is given up. What people write back is understood by `conversation`. Channels themselves
(SMPP, SMTP, webhooks ...) are gateways; they know nothing of cards.
"""
