"""The theorems on policy mirror descent, checked on random finite MDPs, drawn, and recorded."""
