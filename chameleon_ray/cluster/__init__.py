"""Everything on Ray: sessions, pools of actors, the PPO explorer; the only importer of ray."""
