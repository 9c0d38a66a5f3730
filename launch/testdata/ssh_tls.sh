#!/bin/bash
# Trains /shared/runs/it's mine.toml on 2 hosts. Run it on head; Ctrl-C stops the
# run with a checkpoint, and running it again goes on from there.
set -euo pipefail
set -m # a terminal's Ctrl-C reaches this script alone

run_dir=/shared/runs/first
mkdir -p "$run_dir/logs"

/opt/parallax/bin/parallax coordinator --advertise head --listen 0.0.0.0:7070 --gossip 0.0.0.0:7946 --tls-ca '/etc/parallax/my tls/ca.pem' --tls-cert '/etc/parallax/my tls/cert.pem' --tls-key '/etc/parallax/my tls/key.pem' --join-token-file /etc/parallax/token --gossip-key-file /etc/parallax/gossip.key --nodes 2 --join-timeout 10m0s --spec '/shared/runs/it'\''s mine.toml' --run-dir /shared/runs/first --resume &
coordinator=$!
interrupted=
trap 'interrupted=1; kill -TERM "$coordinator" || true' INT TERM

# Nodes end with the coordinator.
nodes=()
ssh -n -o BatchMode=yes gpu01 'exec /opt/parallax/bin/parallax node --name gpu01 --advertise gpu01 --coordinator head:7070 --listen 0.0.0.0:7071 --gossip 0.0.0.0:7947 --tls-ca '\''/etc/parallax/my tls/ca.pem'\'' --tls-cert '\''/etc/parallax/my tls/cert.pem'\'' --tls-key '\''/etc/parallax/my tls/key.pem'\'' --join-token-file /etc/parallax/token --device cuda:0' >>"$run_dir/logs/"gpu01.log 2>&1 &
nodes+=("$!")
ssh -n -o BatchMode=yes gpu02 'exec /opt/parallax/bin/parallax node --name gpu02 --advertise gpu02 --coordinator head:7070 --listen 0.0.0.0:7071 --gossip 0.0.0.0:7947 --tls-ca '\''/etc/parallax/my tls/ca.pem'\'' --tls-cert '\''/etc/parallax/my tls/cert.pem'\'' --tls-key '\''/etc/parallax/my tls/key.pem'\'' --join-token-file /etc/parallax/token --device cuda:0' >>"$run_dir/logs/"gpu02.log 2>&1 &
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
