"""Serving Nemotron 3 Super on one's own GPUs: the command that a server wants, and whether the model fits."""
