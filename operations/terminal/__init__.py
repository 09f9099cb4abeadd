"""What is typed and what is printed: command lines, tables, times."""
