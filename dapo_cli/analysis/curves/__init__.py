"""What runs recorded over environment steps, as lines with bands."""
