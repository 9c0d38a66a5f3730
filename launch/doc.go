// Package launch starts processes of a Parallax cluster, and writes what starts
// them elsewhere.
//
// [Local] is a simulated cluster: a coordinator and its nodes as real processes
// of this host, on loopback (local.go, cluster.go). None of them outlives the
// process that started them.
//
// [Slurm], [Kubernetes], [SystemdCoordinator] with [SystemdNode], and [SSH] render a job
// script, manifests, unit files and a fan-out script from options: pure functions, their
// templates in templates/. Placement, queueing and restarts remain the cluster manager's
// work; only a crashed coordinator is started again by the scripts themselves, as nobody
// else would (templates/supervise.sh). Dockerfile makes the images.
//
// [FromEnvironment] is the other direction: what torchrun and Slurm tell a
// process about its place.
//
// The processes' flags are those of internal/cli.
package launch
