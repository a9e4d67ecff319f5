"""Layers that functions of a vendor's libraries compute, recognised in their loops."""
