"""Moderation: the policy, the checks that it uses, and its enforcement before and after generation."""
