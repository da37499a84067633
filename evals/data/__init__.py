"""Data sets: rows of every known shape become instances."""

from evals.data.load import load as load

__all__ = ["load"]
