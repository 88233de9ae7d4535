"""The daemon's settings: one table feeds the parser, `--help`, the README and a test."""

from sandboxd.config.load import Invocation, load, parse_arguments
from sandboxd.config.settings import Config, Setting, settings, settings_table

__all__ = ("Config", "Invocation", "Setting", "load", "parse_arguments", "settings", "settings_table")
