"""What a hostile or careless user tries, and what must happen."""
