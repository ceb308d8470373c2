"""A home kept small and safe: gc, backup, restore."""
