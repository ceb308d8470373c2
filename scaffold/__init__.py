"""A feature repo made from a table: what `potluck init` looks at, decides and writes."""
