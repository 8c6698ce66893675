"""Search space -> trials, several samplers side by side. The only importer of optuna."""
