"""The verbs about answers that were given: log."""
