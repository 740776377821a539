"""Captures and logs that others made: one file a plug-in, one a format. `observe.taken` is their contract."""
