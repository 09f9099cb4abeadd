"""One thing's story: which documents belong to an id, and what they say."""
