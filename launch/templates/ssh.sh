#!/bin/bash
# Trains {{.Spec}} on {{.Nodes}} hosts. Run it on {{.Coordinator}}; Ctrl-C stops the
# run with a checkpoint, and running it again goes on from there.
set -euo pipefail
set -m # a terminal's Ctrl-C reaches this script alone

run_dir={{sh .RunDir}}
mkdir -p "$run_dir/logs"

{{template "supervise"}}

trap 'pass_on TERM' INT TERM

# Nodes end with the run.
nodes=()
{{- range .NodeCommands}}
ssh -n -o BatchMode=yes {{sh .Target}} {{sh .Command}} >>"$run_dir/logs/"{{sh .Name}}.log 2>&1 &
nodes+=("$!")
{{- end}}

coordinate {{.CoordinatorCommand}}
ended=$code
for node in "${nodes[@]}"; do
	await "$node"
done
exit "$ended"
