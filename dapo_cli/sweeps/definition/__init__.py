"""What a sweep is: its file, its grid, its plan."""
