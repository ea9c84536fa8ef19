"""What a run has learned: evaluated, exported, replayed and filmed."""
