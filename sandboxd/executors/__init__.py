"""Executors: the one vocabulary in which the daemon speaks of an isolation tier."""
