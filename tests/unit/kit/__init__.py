"""The kit alone: bytes in, bytes out over MemoryBroker."""
