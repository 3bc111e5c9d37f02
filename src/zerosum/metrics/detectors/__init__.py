"""Networks that turn pictures into features; ``detector`` builds them."""
