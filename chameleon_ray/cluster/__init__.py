"""The Ray wing: sessions, pools of actors, the PPO explorer. The only importer of ray."""
