"""The embedded platform: everything on one machine, in one SQLite file."""
