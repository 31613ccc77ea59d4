"""Bidirectionally trained invertible networks (dissertation, ch. 4)."""
