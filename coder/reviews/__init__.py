"""`coder review`: from flags to findings."""
