"""Pictures of every page, for people to look at; made by a command and never committed."""
