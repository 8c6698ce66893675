"""Questions about the inputs that linear probes answer before any network is trained."""
