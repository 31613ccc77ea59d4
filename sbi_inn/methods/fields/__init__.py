"""Conditional invertible networks of fields, from a Gaussian start in closed form."""
