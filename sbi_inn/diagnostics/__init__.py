"""Functions of arrays that measure the quality of draws, whatever method made them."""
