"""A trained posterior whose ranks were recalibrated by simulations with known truths."""
