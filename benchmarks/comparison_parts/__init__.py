"""Parts of the benchmark of model comparison."""
