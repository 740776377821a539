"""What intake looks for in a Content: one file an Extractor."""
