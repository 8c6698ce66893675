"""A look into a training loop while it runs, for code that cannot be handed in as the parts of a Setup."""
