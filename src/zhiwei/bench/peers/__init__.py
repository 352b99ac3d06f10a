"""The peers: other programs that get the same messages from the same generator."""
