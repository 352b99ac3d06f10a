"""messages.db: messages to people and what became of them, in a SQLite file beside the main one.

A file of its own, so that the authorization path never waits for a message.
"""
