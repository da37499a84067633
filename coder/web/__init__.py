"""The window in a browser on the same machine: `coder --serve-web`."""
