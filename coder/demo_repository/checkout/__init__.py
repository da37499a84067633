"""A small shop's checkout."""
