"""Trait x HashSet -> Hit: recognises what is known."""
