"""What is looked at in every sandbox before its first command: that it is alone, and that it cannot change the system.

In the shell's own words, since it costs every start; `sandbox.probes` looks deeper, once for each machine.
"""

from __future__ import annotations

_UNWRITABLE, _CONNECTED, _OPEN = 97, 98, 99  # exit statuses

SCRIPT = f"""
[ -w . ] || exit {_UNWRITABLE}
while read -r name _; do case $name in lo:*) ;; *:*) echo "interface $name"; exit {_CONNECTED};; esac; done </proc/net/dev
{{ read -r _; if read -r name _; then echo "a route over $name"; exit {_CONNECTED}; fi; }} 2>/dev/null </proc/net/route
for place in / /usr /etc; do if [ -w $place ]; then echo "$place can be written"; exit {_OPEN}; fi; done
exit 0
"""


def refusal(status: int | None, said: str) -> str:
    """Why a sandbox whose guard ended so must not be used; empty when the guard did not say that."""
    reasons = {
        _UNWRITABLE: "the workspace cannot be written",
        _CONNECTED: f"it is not cut off from the network: {said}",
        _OPEN: f"its system is not read-only: {said}",
    }
    return reasons.get(status or 0, "")
