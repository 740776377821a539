"""Readers of known-hash files, one file each."""
