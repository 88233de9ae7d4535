"""One module per command: `configure(parser)` adds its arguments and sets `run`, which gives an exit code."""
