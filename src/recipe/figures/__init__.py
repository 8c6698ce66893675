"""Arrays to PNG, in one style and to the same bytes each time: a file per subject, the style in style.py.

Each user imports the file that it draws with, so that dvc.yaml can say which figures a stage depends on.
"""
