"""Policies: strict YAML files, resolved into frozen effective limits and rules."""

from sandboxd.policy.model import Policy, ScreenRules
from sandboxd.policy.policy_set import PolicySet
from sandboxd.policy.schema import json_schema

__all__ = ("Policy", "PolicySet", "ScreenRules", "json_schema")
