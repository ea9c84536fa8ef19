"""Numbers in, numbers out: estimates, intervals, tests and power. Knows no database."""
