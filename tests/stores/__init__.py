"""What every store must do, and what only SQLite can get wrong."""
