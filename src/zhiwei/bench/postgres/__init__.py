"""PostgreSQL on this machine for tests and benches: clusters that come and go, rivals, failovers."""
