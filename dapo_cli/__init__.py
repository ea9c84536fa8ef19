"""dapo: train policies, keep every episode, compare what was learned. The code behind the command `dapo`."""

__version__ = "0.1.0"
