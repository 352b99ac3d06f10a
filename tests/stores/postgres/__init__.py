"""What only the store on PostgreSQL has to show: locks, outcomes, weeks, its start."""
