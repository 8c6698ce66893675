"""Candidate changes against overfitting, one at a time; a change is kept when its gain exceeds seed noise."""
