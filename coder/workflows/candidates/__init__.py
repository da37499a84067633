"""Several attempts at one task, and which of them counts."""
