"""Hit, Series -> Grade: a person looks, and decides."""
