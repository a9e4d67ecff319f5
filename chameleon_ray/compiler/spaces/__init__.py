"""A lowered model in, its layers with their design spaces out."""
