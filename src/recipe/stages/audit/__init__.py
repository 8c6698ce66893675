"""What is in the data: statistics, duplicates, outliers, label noise, order, probes."""
