"""What is not as it should be, with what mends it."""
