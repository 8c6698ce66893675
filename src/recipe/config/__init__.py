"""conf/ and params.yaml as one checked configuration per stage. The door to Hydra, with tracking/hydra_sweep."""
