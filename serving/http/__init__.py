"""HTTP: connections, requests, answers and the routes between them."""
