"""The console: a page on the operator's own machine that shows what happens, and mends it."""
