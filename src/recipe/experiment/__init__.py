"""From a config to trained networks, and comparisons over paired seeds."""
