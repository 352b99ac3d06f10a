"""PostgreSQL on this machine for tests and benches: clusters, rivals, failovers."""
