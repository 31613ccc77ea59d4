"""Conditional invertible networks (dissertation, ch. 3)."""
