"""What is in the data: statistics, copies, outliers, order."""
