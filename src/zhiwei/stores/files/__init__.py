"""What the stores share of reading SQLite files beside whoever writes them."""
