"""What talks to a model server: recognising it, streaming from it, reading what the model meant, serving one."""
