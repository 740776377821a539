"""Sighting, Trait -> Subject, Lead: who may be behind an address, for which force, and what speaks against it."""
