"""Data sets of many kinds, each as `len(source)`, `source[i]`, `source.classes`."""
