"""Whether a database is whole, and which of its values no dapo writes."""
