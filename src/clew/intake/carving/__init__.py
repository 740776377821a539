"""Carving: files found by their own structure in space that belongs to nobody, without any name or file record."""
