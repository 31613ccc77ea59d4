"""Parts of the benchmark of summary networks."""
