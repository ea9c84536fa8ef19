"""What the algorithms of a family share: their contract, state, critic, proximal step and diagnostics. Public."""
