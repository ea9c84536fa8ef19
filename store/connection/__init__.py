"""How a results database is found, opened, locked and kept safe: SQLite files and servers."""
