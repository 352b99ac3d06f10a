"""Steps from each schema to the next: `0001.sql` makes schema 1 out of nothing, and so on."""
