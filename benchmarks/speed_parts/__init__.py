"""What benchmarks/speed.py measures, and how."""
