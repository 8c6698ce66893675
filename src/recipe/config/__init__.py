"""conf/ and params.yaml as one checked configuration per stage. The only importer of Hydra, with tracking/hydra_sweep."""
