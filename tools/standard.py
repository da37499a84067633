"""The six tools of an attempt, in the order that the model sees them."""

from __future__ import annotations

from tools.base import Toolbox
from tools.bash import Bash
from tools.dialects import DIALECTS, NEMOTRON
from tools.editor import Editor
from tools.plan import Plan
from tools.run_tests import RunTests
from tools.search import Search
from tools.submit import Submit


def standard_toolbox(dialect: str) -> Toolbox:
    """All six under the names of `dialect` (a profile's word for it)."""
    return Toolbox(
        [Bash(), Editor(), Search(), RunTests(), Plan(), Submit()], DIALECTS.get(dialect, NEMOTRON)
    )
