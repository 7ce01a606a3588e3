"""Moderation: the policy, and its enforcement before and after generation."""
