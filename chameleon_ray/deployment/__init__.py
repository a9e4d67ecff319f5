"""What a server needs of a tuned model, and nothing else."""
