"""Candidate changes against overfitting, one at a time; kept where the gain exceeds seed noise."""
