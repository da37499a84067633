"""The commands of `coder eval`: each module holds one click command, named `command`."""
