#!/bin/bash
# Trains {{.Spec}} on {{.Nodes}} hosts. Run it on {{.Coordinator}}; Ctrl-C stops the
# run with a checkpoint, and running it again goes on from there.
set -euo pipefail
set -m # a terminal's Ctrl-C reaches this script alone

run_dir={{sh .RunDir}}
mkdir -p "$run_dir/logs"

{{.CoordinatorCommand}} &
coordinator=$!
interrupted=
trap 'interrupted=1; kill -TERM "$coordinator" || true' INT TERM

# Nodes end with the coordinator.
nodes=()
{{- range .NodeCommands}}
ssh -n -o BatchMode=yes {{sh .Target}} {{sh .Command}} >>"$run_dir/logs/"{{sh .Name}}.log 2>&1 &
nodes+=("$!")
{{- end}}

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
