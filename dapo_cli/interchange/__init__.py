"""Results of other programs into the database, and the database's into files that other programs read."""
