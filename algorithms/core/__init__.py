"""What algorithms are built from: values that pass, networks, policies, critics, hyperparameters. Public."""
