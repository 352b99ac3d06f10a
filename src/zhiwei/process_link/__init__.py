"""How two processes of the house call each other, over sockets that nobody else can reach.

`calls` goes both ways between two event loops; `asking` lets code that cannot wait on a loop put a
question and block until it is answered; `wire` says how values look on the way.
"""
