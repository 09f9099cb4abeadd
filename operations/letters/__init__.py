"""Dead letters: what could not be processed."""
