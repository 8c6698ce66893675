"""What enters a network: images, rows of features, texts; one module each behind one contract."""
