"""What every stage stands on: the Case, the Ledger, the engine, signed Mandates and Watches."""
