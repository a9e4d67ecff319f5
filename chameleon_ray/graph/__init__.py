"""Memory-aware order and rewriting of plain graphs, after SERENITY (Ahn et al., MLSys 2020)."""
