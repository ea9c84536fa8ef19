"""Databases as a whole: merged, copied, made smaller, cleaned and rescued."""
