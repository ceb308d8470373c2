"""What a feature repo defines: its objects, tags and rules, and the feature contract made of
them."""
