#!/usr/bin/env bash
# A run on Slurm (docs/guides/recipes.md): every node starts Ray, the first one tunes, all end with it.
#
#   sbatch --nodes=2 deploy/slurm.sh resnet-18 --nodes 2 --minutes 30 --out ~/runs/resnet-18
#
# The virtual environment and the token (~/.ray/auth_token) are in the home directory that all nodes
# share: (umask 077 && ray get-auth-token --generate). GPUs: sbatch --gpus-per-node=4 ... --target cuda
#SBATCH --job-name=chameleon
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
set -euo pipefail
. "${CHAMELEON_VENV:-$HOME/venv}/bin/activate"
export RAY_AUTH_MODE=token RAY_worker_niceness=0 RAY_USAGE_STATS_ENABLED=0
nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes%%$'\n'*}
scripts=${CHAMELEON_SOURCE:-$SLURM_SUBMIT_DIR}/scripts
srun ray symmetric-run --address "$head:${RAY_PORT:-6379}" --min-nodes "$SLURM_JOB_NUM_NODES" \
  -- python "$scripts/tune_net.py" "$@"
