"""Evidence copied to MLflow; it is never read back. The only importer of MLflow."""
