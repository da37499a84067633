"""Grading a patch by the rules of the official harness, in a sandbox of its own."""

from evals.grading.grade import grade as grade

__all__ = ["grade"]
