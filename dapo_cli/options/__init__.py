"""Options that several commands share, and what a shell completes."""
