"""What action.yml runs: `python -I -m coder.github`."""

from __future__ import annotations

import os
import sys

from coder.errors import CoderError


def main() -> int:
    from coder.github.action import act
    from coder.reviews.output import escaped

    try:
        return act(os.environ)
    except CoderError as error:
        hint = f" {error.hint}" if error.hint else ""
        print(f"::error title=coder::{escaped(f'{error}.{hint}')}")
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
