"""Messages in the database: any number of tellers (servers that send) share them.

Who may send what. A lane's row in `message_lane` names the teller who has it. `due` takes lanes
that nobody has, by `for update skip locked`, so two tellers never have the same one and never wait
for each other; `note` gives the lane back. A teller says again and again that it lives (`renew`),
by the database's clock; when it has not done so for a while, whoever comes by frees what it had,
and its messages go out once more under the same ids. Senders of texts that came in, and challenges
that reach nobody, are held in the same way.

Who plans. Whoever holds the lock of the one row of `message_cursor`; the others pass on. Messages
and cursor move in one transaction, so an event is planned once, whoever does it.

Why nobody waits for anybody in a circle. Within a transaction, locks are taken in one order: the
turn of receipts (notes of what was sent, and receipts), messages by position, lanes by name, the
turn of challenges, the tally. So notes are gathered (`sheet.py`) and written when the transaction
ends, which also makes of many of them a few statements in one trip.

What a commit waits for. Nothing, as a rule (`synchronous_commit = off`): what a power cut or a
failover takes back is done again under the same ids, since events are durable. Where somebody is
told that something is taken, the commit waits as those of decisions do.
"""
