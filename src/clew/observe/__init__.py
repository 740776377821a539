"""Watch -> Sighting: contacts those who are listed for a Watch, and keeps proof of what they claim."""
