"""What `dapo selftest` does: dapo's promises, proved on the user's machine."""
