"""A posterior for the neighbourhood of one observation, from new simulations there."""
