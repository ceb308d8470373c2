"""Logged answers, given once more: by the bundle that gave them, or by another."""
