"""Other sandboxes beside ours: the same work in the same run, and what isolation each gives for it."""
