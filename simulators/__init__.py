"""Problems to learn from and to test on, one a file: the prior, the simulator, where it comes from."""
