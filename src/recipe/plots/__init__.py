"""Arrays to PNG, in one style and to the same bytes each time; style.py is the only importer of matplotlib."""
