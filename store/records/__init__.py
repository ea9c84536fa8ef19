"""What runs leave in the database, and how it is read back."""
