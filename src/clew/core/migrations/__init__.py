"""The versions of case.db as SQL, one file each: forward only, never edited once released.

Numbers grow; they need not follow one another. 4 was never released, and stays free: a case at 5 or later would not get
it any more.
"""
