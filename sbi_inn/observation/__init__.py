"""Names, shapes and values of one observation, and of many."""
