"""The proofs: unit (no network), contract (what is promised), integration (a real broker), e2e (the whole loop)."""
