"""What the training loop trains: replay or rollouts, updates, compiled graphs, several seeds at once."""
