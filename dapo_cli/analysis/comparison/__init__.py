"""A comparison: scored, grouped into cells, tested."""
