#!/bin/bash
# Trains {{.Spec}} on {{.Nodes}} nodes. Submit it with sbatch.
#SBATCH --job-name={{.Job}}
#SBATCH --nodes={{.Hosts}}
#SBATCH --ntasks-per-node={{.TasksPerHost}}
{{- if .CPUs}}
#SBATCH --cpus-per-task={{.CPUs}}
{{- end}}
{{- if .GPUs}}
#SBATCH --gpus-per-task={{.GPUs}}
{{- end}}
{{- if .Time}}
#SBATCH --time={{.Time}}
{{- end}}
{{- if .Partition}}
#SBATCH --partition={{.Partition}}
{{- end}}
{{- if .Account}}
#SBATCH --account={{.Account}}
{{- end}}
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={{.Job}}-%j.log
set -euo pipefail

host=${SLURMD_NODENAME:-$(hostname)}
mkdir -p {{sh .RunDir}}

{{template "supervise"}}

# USR1 comes from Slurm before the time limit: stop with a checkpoint, exit with
# 75. TERM and INT: stop with a checkpoint, for good.
trap 'pass_on USR1' USR1
trap 'pass_on TERM' TERM INT

# A node for every task. Nodes end with the run, each with its own exit code, so one
# that fails is not a reason to kill the others.
# shellcheck disable=SC2016 # the tasks' shells expand it
srun --kill-on-bad-exit=0 bash -c 'exec "$@" --advertise "$SLURMD_NODENAME"' node \
	{{.NodeCommand}} --coordinator "$host:{{.Port}}" &
nodes=$!

# The coordinator, in this batch step on the first host. It goes on from the
# newest checkpoint, if there is one.
coordinate {{.CoordinatorCommand}} --advertise "$host"
ended=$code
await "$nodes"

# Queued again, too, where the warning came while there was no coordinator.
if [ "$ended" -eq 75 ] || [ "$asked" = USR1 ] && [ "$ended" -ne 0 ] && [ "$ended" -ne 2 ]; then
	scontrol requeue "$SLURM_JOB_ID"
fi
exit "$ended"
