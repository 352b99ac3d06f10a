"""Messaging in a process of its own, so that telling people never takes time from deciding.

`parent` starts it from the serving process, watches it, and answers what it asks; `child` is its
program; `views` is what it sees of the house.
"""
