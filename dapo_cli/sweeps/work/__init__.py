"""A sweep at work: workers, their processes, screens and launchers."""
