"""The recipe, a folder per stage: its work, its claims (checks.py), its figures and its sentences."""
