"""What answers for a service: its champion, the schema of its requests, the entities that it looks
up."""
