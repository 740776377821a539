"""What intake can open: one file a Source."""
