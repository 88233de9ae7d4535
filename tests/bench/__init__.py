"""The benchmark: ratios against baselines measured in the same run, never seconds that a test asserts."""
