"""From the source to the store: every example is read once."""
