"""From the store to batches: the contract of a source, groups, splits, decisions, streaming."""
