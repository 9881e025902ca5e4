"""Several processes that serve as one: the one in front, and its workers."""
