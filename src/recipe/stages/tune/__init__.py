"""Search space to trials, several samplers side by side. The only importer of Optuna."""
