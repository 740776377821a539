"""Exhibit -> Item, Content, Trait: reads a seized thing, and accounts for every Item in it."""
