"""The versions of case.db as SQL, one file each: forward only, never edited once released."""
