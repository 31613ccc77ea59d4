"""Pure array functions: how good draws are, whatever method made them."""
