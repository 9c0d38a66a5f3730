#!/bin/bash
# Trains /shared/runs/it's mine.toml on 2 hosts. Run it on head; Ctrl-C stops the
# run with a checkpoint, and running it again goes on from there.
set -euo pipefail
set -m # a terminal's Ctrl-C reaches this script alone

run_dir=/shared/runs/first
mkdir -p "$run_dir/logs"

# The nodes train on without a coordinator, and it comes back from its store: one
# that has crashed is started again, after a second and then ever later. It has not
# crashed when it says how the run ended: 0 done or stopped, 2 wrong configuration,
# 69 too few nodes are left, 75 stopped with a checkpoint, to be queued again. With
# GOTRACEBACK=crash a panic ends in a signal instead of in 2.
export GOTRACEBACK=crash
ulimit -c 0
coordinator= # its process, while there is one
asked=       # the signal that was passed on to it
interrupted= # not empty: by a signal, since wait began
code=0       # of the process that was waited for

# shellcheck disable=SC2317 # traps call it
pass_on() {
	asked=$1 interrupted=1
	[ -z "$coordinator" ] || kill -"$1" "$coordinator" || true
}

# A signal ends wait before the process has ended.
await() {
	while true; do
		interrupted='' code=0
		wait "$1" || code=$?
		if [ -z "$interrupted" ] || [ "$code" -le 128 ]; then
			return
		fi
	done
}

coordinate() { # runs its arguments until they end by their own decision
	local short=0 delay=1 began
	while true; do
		began=$SECONDS
		"$@" &
		coordinator=$!
		await "$coordinator"
		coordinator=
		case $code in 0 | 2 | 69 | 75) return 0 ;; esac
		[ -z "$asked" ] || return 0
		if [ $((SECONDS - began)) -ge 60 ]; then
			short=0 delay=1 # it was well for a while
		fi
		short=$((short + 1))
		if [ "$short" -gt 6 ]; then
			echo "the coordinator ended with $code for the ${short}th time within a minute of its start; training goes on without it" >&2
			return 0
		fi
		echo "the coordinator ended with $code; it is started again in $delay s" >&2
		sleep "$delay" &
		wait "$!" || true
		[ -z "$asked" ] || return 0
		delay=$((delay * 2))
	done
}

trap 'pass_on TERM' INT TERM

# Nodes end with the run.
nodes=()
ssh -n -o BatchMode=yes gpu01 'exec /opt/parallax/bin/parallax node --name gpu01 --advertise gpu01 --coordinator head:7070 --listen 0.0.0.0:7071 --gossip 0.0.0.0:7947 --tls-ca '\''/etc/parallax/my tls/ca.pem'\'' --tls-cert '\''/etc/parallax/my tls/cert.pem'\'' --tls-key '\''/etc/parallax/my tls/key.pem'\'' --join-token-file /etc/parallax/token --device cuda:0' >>"$run_dir/logs/"gpu01.log 2>&1 &
nodes+=("$!")
ssh -n -o BatchMode=yes gpu02 'exec /opt/parallax/bin/parallax node --name gpu02 --advertise gpu02 --coordinator head:7070 --listen 0.0.0.0:7071 --gossip 0.0.0.0:7947 --tls-ca '\''/etc/parallax/my tls/ca.pem'\'' --tls-cert '\''/etc/parallax/my tls/cert.pem'\'' --tls-key '\''/etc/parallax/my tls/key.pem'\'' --join-token-file /etc/parallax/token --device cuda:0' >>"$run_dir/logs/"gpu02.log 2>&1 &
nodes+=("$!")

coordinate /opt/parallax/bin/parallax coordinator --advertise head --listen 0.0.0.0:7070 --gossip 0.0.0.0:7946 --tls-ca '/etc/parallax/my tls/ca.pem' --tls-cert '/etc/parallax/my tls/cert.pem' --tls-key '/etc/parallax/my tls/key.pem' --join-token-file /etc/parallax/token --gossip-key-file /etc/parallax/gossip.key --nodes 2 --join-timeout 10m0s --spec '/shared/runs/it'\''s mine.toml' --run-dir /shared/runs/first --resume
ended=$code
for node in "${nodes[@]}"; do
	await "$node"
done
exit "$ended"
