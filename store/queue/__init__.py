"""What waits to be trained: sweeps, the queue of their runs, and the workers that take them."""
