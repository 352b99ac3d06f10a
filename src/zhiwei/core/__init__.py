"""The words of the business and its arithmetic; pure, and knowing nothing of the world.

Nothing in this package reads a clock, a file or a socket, rolls a die or keeps a secret. Everything
that a decision may look at is handed in as a value, and everything that it changes comes back as a
value.
"""
