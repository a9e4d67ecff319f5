"""Relax to Relax: constants folded, layouts and weights chosen, operators lowered and fused."""
