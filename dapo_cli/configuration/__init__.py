"""What a run is asked to be: presets, files and options, resolved and with where each value came from."""
