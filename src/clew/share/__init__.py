"""Lead, Grade, Ledger -> Bundle, and back: hands every force its part."""
