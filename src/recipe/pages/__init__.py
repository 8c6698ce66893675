"""Evidence as pages for a person."""
