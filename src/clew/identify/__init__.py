"""Trait -> Link, Series: groups what is new."""
