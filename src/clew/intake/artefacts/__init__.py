"""What intake looks for in the files of peer-to-peer clients: one file a kind, each an Extractor (`clew.intake.api`).

libmagic does not know these files, and takes some for others. So each of them wants every media type and decides by
the first bytes whether the content is its kind; of any other it yields nothing.
"""
