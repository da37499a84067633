"""coder: an autonomous terminal coding agent for models that people serve themselves."""

from coder._siblings import pin

__version__ = "0.1.0"

pin()
