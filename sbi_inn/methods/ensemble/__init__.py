"""Several networks, and the mixture of their posteriors."""
