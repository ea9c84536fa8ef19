"""The tables, how values stand in them, and their history."""
