"""The dull models."""
