#!/bin/bash
# Trains /shared/runs/it's mine.toml on 2 hosts. Run it on head; Ctrl-C stops the
# run with a checkpoint, and running it again goes on from there.
set -euo pipefail
set -m # a terminal's Ctrl-C reaches this script alone

run_dir=/shared/runs/first
mkdir -p "$run_dir/logs"

/opt/parallax/bin/parallax coordinator --advertise head --listen 0.0.0.0:7070 --gossip 0.0.0.0:7946 --insecure --nodes 2 --join-timeout 10m0s --spec '/shared/runs/it'\''s mine.toml' --run-dir /shared/runs/first --resume &
coordinator=$!
interrupted=
trap 'interrupted=1; kill -TERM "$coordinator" || true' INT TERM

# Nodes end with the coordinator.
nodes=()
ssh -n -o BatchMode=yes gpu01 'exec /opt/parallax/bin/parallax node --name gpu01 --advertise gpu01 --coordinator head:7070 --listen 0.0.0.0:7071 --gossip 0.0.0.0:7947 --insecure --device cuda:0' >>"$run_dir/logs/"gpu01.log 2>&1 &
nodes+=("$!")
ssh -n -o BatchMode=yes ann@10.0.0.2 'exec /opt/parallax/bin/parallax node --name 10.0.0.2 --advertise 10.0.0.2 --coordinator head:7070 --listen 0.0.0.0:7071 --gossip 0.0.0.0:7947 --insecure --device cuda:0' >>"$run_dir/logs/"10.0.0.2.log 2>&1 &
nodes+=("$!")

# A signal ends wait before the coordinator has ended.
while true; do
	interrupted=
	code=0
	wait "$coordinator" || code=$?
	if [ -z "$interrupted" ] || [ "$code" -le 128 ]; then
		break
	fi
done
for node in "${nodes[@]}"; do
	wait "$node" || true
done
exit "$code"
