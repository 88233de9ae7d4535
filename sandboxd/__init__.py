"""sandboxd: runs code that a language model wrote, under a policy that a security team owns.

This file stays empty of imports: the jail's own interpreter (3.9 and up, no third-party packages) loads
`sandboxd.jail` and `sandboxd.guest` through it.
"""

__version__ = "0.1.0"
