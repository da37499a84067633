"""Where an instance's tests run: a tree without history, and what it needs installed."""

from evals.environments.place import EnvironmentFailed as EnvironmentFailed
from evals.environments.place import Environments as Environments
from evals.environments.place import Place as Place

__all__ = ["EnvironmentFailed", "Environments", "Place"]
