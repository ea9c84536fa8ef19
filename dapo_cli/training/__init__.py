"""What trains a run: environments, the loop, checkpoints, the display."""
