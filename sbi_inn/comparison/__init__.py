"""What a comparison of models returns: probabilities of simulators, and "none of them"."""
