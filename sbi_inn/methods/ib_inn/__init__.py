"""Generative classifiers with an information bottleneck (dissertation, ch. 5)."""
