"""The baselines that every later stage must beat."""
