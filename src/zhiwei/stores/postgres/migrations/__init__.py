"""Steps from each schema to the next: `0001.pre.sql` makes schema 1 out of nothing; see `steps`."""
