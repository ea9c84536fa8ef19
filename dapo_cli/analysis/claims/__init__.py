"""Claims registered before the runs, and what the runs say of them."""
