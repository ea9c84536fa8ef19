"""Drawing what `dapo_cli.analysis` computed; matplotlib is imported only when something is drawn."""
