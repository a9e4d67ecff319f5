"""Passes that save memory, after SERENITY: another order, and convolutions taken apart."""
