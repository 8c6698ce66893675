"""The final system: saved, loaded, applied to new inputs."""
