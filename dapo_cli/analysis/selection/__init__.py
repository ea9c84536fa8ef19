"""Which runs a command is about, how they are grouped, and what each is judged by."""
