"""Evaluation runs on SWE-bench-style tasks."""
