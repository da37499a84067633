"""`coder doctor`: probes one model server and says what is wrong, what it costs, and which flag mends it."""
