"""Trials: what a file of messages would be answered, decided on a copy and kept nowhere.

The real guardian decides, with the real policy, words and response codes; only the store is one
that forgets. Cards are those of the file itself, or those of a copy of a data directory.
"""
