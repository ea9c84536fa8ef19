"""From the recorded runs to what a reader sees: filters, selection, statistics, tables."""
