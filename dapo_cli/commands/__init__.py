"""One file per command: parse, call, print. The file's first docstring line is its line in `dapo --help`."""
