"""The demonstration: an agent answers a question about a real workbook, in a sandbox. Run `make demo`."""
