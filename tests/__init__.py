"""The proofs: unit (no network), contract (promises), integration (a real broker), e2e."""
