"""What a model is to predict: one of several classes, several labels, quantities."""
