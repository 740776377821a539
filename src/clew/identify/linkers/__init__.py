"""Linkers: why Contents may belong together, one file each."""
