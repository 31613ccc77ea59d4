"""Problems to learn from and to test on, one a file: prior, simulator, source."""
