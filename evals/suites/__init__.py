"""Suites of tasks that ship: each folder here is one."""

from evals.suites.load import load as load
from evals.suites.load import names as names

__all__ = ["load", "names"]
