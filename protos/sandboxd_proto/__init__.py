"""The wire contract `sandboxd.v1` and its generated code."""
