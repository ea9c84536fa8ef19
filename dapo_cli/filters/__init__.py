"""The filters of `--where`: grammar, meaning in SQL, and meaning on the values of one configuration."""
