"""The bank, its terminals and its customers: a believable, seeded stream of card messages.

Everything follows from a seed: who the customers are, what they do on which day, where the thief
strikes. The same seed sends the same messages. Cards are of a test range that nobody was ever
issued (62 0000), and their numbers are kept in memory only.
"""
