"""Examples that show the same picture: equal, or made from each other."""
