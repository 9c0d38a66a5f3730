#!/bin/bash
# Trains /shared/runs/it's mine.toml on 8 nodes. Submit it with sbatch.
#SBATCH --job-name=parallax
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=1
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=parallax-%j.log
set -euo pipefail

host=${SLURMD_NODENAME:-$(hostname)}
mkdir -p /shared/runs/first

# The coordinator, in this batch step on the first host. It goes on from the
# newest checkpoint, if there is one.
/opt/parallax/bin/parallax coordinator --listen 0.0.0.0:7070 --gossip 0.0.0.0:7946 --tls-ca '/etc/parallax/my tls/ca.pem' --tls-cert '/etc/parallax/my tls/cert.pem' --tls-key '/etc/parallax/my tls/key.pem' --join-token-file /etc/parallax/token --gossip-key-file /etc/parallax/gossip.key --nodes 8 --join-timeout 10m0s --spec '/shared/runs/it'\''s mine.toml' --run-dir /shared/runs/first --resume --advertise "$host" &
coordinator=$!

# USR1 comes from Slurm before the time limit: stop with a checkpoint, exit with
# 75. TERM and INT: stop with a checkpoint, for good.
interrupted=
trap 'interrupted=1; kill -USR1 "$coordinator" || true' USR1
trap 'interrupted=1; kill -TERM "$coordinator" || true' TERM INT

# A node for every task. Nodes end with the coordinator, each with its own exit
# code, so one that fails is not a reason to kill the others.
# shellcheck disable=SC2016 # the tasks' shells expand it
srun --kill-on-bad-exit=0 bash -c 'exec "$@" --advertise "$SLURMD_NODENAME"' node \
	/opt/parallax/bin/parallax node --listen 0.0.0.0:0 --gossip 0.0.0.0:0 --tls-ca '/etc/parallax/my tls/ca.pem' --tls-cert '/etc/parallax/my tls/cert.pem' --tls-key '/etc/parallax/my tls/key.pem' --join-token-file /etc/parallax/token --device cuda:0 --coordinator "$host:7070" &
nodes=$!

# A signal ends wait before the coordinator has ended.
while true; do
	interrupted=
	code=0
	wait "$coordinator" || code=$?
	if [ -z "$interrupted" ] || [ "$code" -le 128 ]; then
		break
	fi
done
wait "$nodes" || true

if [ "$code" -eq 75 ]; then
	scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
