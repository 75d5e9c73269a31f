"""Picture files: what is read and written, the work on each, and many of them at once."""
