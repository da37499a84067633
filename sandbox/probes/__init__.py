"""What a sandbox on this machine really enforces, found out by trying, once for each engine or kernel, and kept."""
