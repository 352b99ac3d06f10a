"""PostgreSQL: one database, any number of servers; the store of those who outgrow one machine.

Servers keep nothing of a card between two batches. A batch is one transaction of few round trips:
the files of its cards are read and locked in order of their keys, the step decides, and everything
is written and committed by one pipeline. Nothing crosses a card, and every key holds the card's, so
the tables can be distributed by `card_key` as they are (Citus, YugabyteDB).

Why a version of a card is unique although the journal is partitioned by time: a unique index of a
partitioned table must contain what it is partitioned by, so the index of `journal` alone could not
forbid version 7 twice in two weeks. What forbids it is the file. Whoever writes an entry holds the
lock of the card's row in `card_state`, which has one unpartitioned key, and writes the entry
together with `update … where version = the version before`; a count of rows that does not fit rolls
everything back. The chain of hashes shows it afterwards if a stranger wrote past that.

Why one busy card does not stop the others: the engine has several batches in flight, none of which
share a card, and a batch passes over the cards that another server holds just now (`skip locked`).
It waits only where it is told to, and then it is about such a card alone.

Why an approval is never lost: whatever happened at commit that is not a plain success (a line that
broke, a warning of any kind, an answer that does not come) leaves the outcome unknown. It is
settled on a new connection to the current primary, by a transaction that takes the card's lock,
looks for the entry, and commits, which waits for the standbys again. Where that does not succeed
within its time, `OutcomeUnknownError` is raised, and the doors answer 91 or 503.
"""
