"""The stage `prepare`: reads every example of the source once and writes the store."""
