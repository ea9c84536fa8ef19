"""What runs cost, and how many configurations were tried."""
