"""Exhibit -> Item, Content, Trait: reads a seized thing once, and accounts for every Item in it."""
