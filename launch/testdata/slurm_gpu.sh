#!/bin/bash
# Trains /shared/runs/it's mine.toml on 8 nodes. Submit it with sbatch.
#SBATCH --job-name=parallax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-task=1
#SBATCH --time=12:00:00
#SBATCH --partition=gpu
#SBATCH --account=lab-7
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=parallax-%j.log
set -euo pipefail

host=${SLURMD_NODENAME:-$(hostname)}
mkdir -p /shared/runs/first

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

# USR1 comes from Slurm before the time limit: stop with a checkpoint, exit with
# 75. TERM and INT: stop with a checkpoint, for good.
trap 'pass_on USR1' USR1
trap 'pass_on TERM' TERM INT

# A node for every task. Nodes end with the run, each with its own exit code, so one
# that fails is not a reason to kill the others.
# shellcheck disable=SC2016 # the tasks' shells expand it
srun --kill-on-bad-exit=0 bash -c 'exec "$@" --advertise "$SLURMD_NODENAME"' node \
	/opt/parallax/bin/parallax node --listen 0.0.0.0:0 --gossip 0.0.0.0:0 --insecure --device cuda:0 --coordinator "$host:7070" &
nodes=$!

# The coordinator, in this batch step on the first host. It goes on from the
# newest checkpoint, if there is one.
coordinate /opt/parallax/bin/parallax coordinator --listen 0.0.0.0:7070 --gossip 0.0.0.0:7946 --insecure --nodes 8 --join-timeout 10m0s --spec '/shared/runs/it'\''s mine.toml' --run-dir /shared/runs/first --resume --advertise "$host"
ended=$code
await "$nodes"

# Queued again, too, where the warning came while there was no coordinator.
if [ "$ended" -eq 75 ] || [ "$asked" = USR1 ] && [ "$ended" -ne 0 ] && [ "$ended" -ne 2 ]; then
	scontrol requeue "$SLURM_JOB_ID"
fi
exit "$ended"
