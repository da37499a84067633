"""What action.yml runs: `python -I -m coder.github`."""

from __future__ import annotations

import os
import sys

from coder.errors import CoderError


def main() -> int:
    from coder.github.action import act
    from sandbox.text import clean_text

    try:
        return act(os.environ)
    except CoderError as error:
        hint = f" {error.hint}" if error.hint else ""
        text = clean_text(f"{error}.{hint}").replace("%", "%25").replace("\n", "%0A")
        print(f"::error title=coder::{text}")
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
