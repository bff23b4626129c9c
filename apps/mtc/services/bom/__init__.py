"""Bills of materials as people keep them: find the columns, read the rows, import them."""
