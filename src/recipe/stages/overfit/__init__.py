"""The smallest model of a ladder that learns the training set by heart."""
