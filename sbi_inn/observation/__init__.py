"""What one observation looks like, and many of them."""
