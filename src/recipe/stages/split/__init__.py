"""The split into train, val and test: the splits of the source are obeyed, missing ones are taken out of train."""
