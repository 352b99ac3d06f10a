"""SQLite: one file, one writing process; the store of a single machine.

What a commit writes is the journal and one row of images of the files that moved (`state_log`). The
rows of `card_state` follow a little later, neighbours together, because rewriting a page for every
decision was measured to cost three times as much as everything else.
"""
