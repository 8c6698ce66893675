"""Given splits are obeyed, missing ones carved out of train."""
