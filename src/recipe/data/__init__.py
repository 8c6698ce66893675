"""Source, store, split, batches."""
