package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"parallax/internal/config"
	"parallax/internal/coord"
	"parallax/launch"
)

func launchCommand() *cobra.Command {
	return group("launch", "Print scripts that start a cluster elsewhere", launchSlurmCommand(), launchKubernetesCommand(), launchSystemdCommand(), launchSSHCommand())
}

// deploymentFlags are what all scripts have in common; binary is where
// parallax is unless told.
func deploymentFlags(cmd *cobra.Command, d *launch.Deployment, binary string) {
	flags := cmd.Flags()
	flags.StringVar(&d.Binary, "binary", binary, "`path` of parallax on all hosts")
	flags.StringVar(&d.Spec, "spec", "", "TOML `file` with the run's settings, where the coordinator runs (required)")
	minNodesFlag(cmd, d)
	flags.StringVar(&d.RunDir, "run-dir", "", "`folder` for checkpoints that all hosts share (required)")
	flags.StringVar(&d.Device, "device", "cpu", "`device` of every node: cpu, cuda:0")
	addThreadsOf(flags, &d.Threads, "threads of every node (default: all)")
	flags.IntVar(&d.Port, "port", 7070, "the coordinator's port")
	flags.IntVar(&d.GossipPort, "gossip-port", 7946, "the coordinator's gossip port")
	flags.StringVar(&d.TLSDir, "tls-dir", "", "`folder` on every host with that host's ca.pem, cert.pem and key.pem (default: no TLS, on a network you trust)")
	flags.StringVar(&d.GossipKeyFile, "gossip-key-file", "", "`file` of the gossip key where the coordinator runs (required with --tls-dir)")
	flags.StringVar(&d.JoinTokenFile, "join-token-file", "", "`file` of the join token on every host (with --tls-dir)")
	flags.DurationVar(&d.JoinTimeout, "join-timeout", 0, "how long the coordinator waits for the nodes (default: 10m)")
}

func minNodesFlag(cmd *cobra.Command, d *launch.Deployment) {
	cmd.Flags().IntVar(&d.MinNodes, "min-nodes", 0, "the run goes on with so many nodes when others are lost (default: all)")
}

// loadSpecFor reads a spec that a coordinator of so many nodes would take.
func loadSpecFor(file string, nodes int) (config.Spec, error) {
	loaded, err := config.Load(config.Sources{File: file})
	if err != nil {
		return config.Spec{}, &exitError{exitUsage, err}
	}
	if err := coord.CheckShares(loaded.Spec, nodes); err != nil {
		return config.Spec{}, usageError("%s: %w", file, err)
	}
	return loaded.Spec, nil
}

// checkSpecIfHere does so unless the file is on the coordinator's host alone.
func checkSpecIfHere(file string, nodes int) error {
	if _, err := os.Stat(file); err != nil {
		return nil
	}
	_, err := loadSpecFor(file, nodes)
	return err
}

// warnOfSpecElsewhere says that a file was not checked.
func warnOfSpecElsewhere(cmd *cobra.Command, file string) {
	if _, err := os.Stat(file); file != "" && err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: --spec %s is not here, so it was not checked; it must be there where the coordinator runs\n", file)
	}
}

// printScript prints what a renderer made.
func printScript(cmd *cobra.Command, text string, err error) error {
	if err != nil {
		return usageError("%w (see %s --help)", err, cmd.CommandPath())
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), text)
	return err
}

func launchSlurmCommand() *cobra.Command {
	var o launch.SlurmOptions
	cmd := &cobra.Command{
		Use:     "slurm",
		Short:   "Print a job script for sbatch",
		Example: "  parallax launch slurm --nodes 8 --spec run.toml --run-dir /shared/runs/first --device cuda:0 --gpus 1 > job.sh\n  sbatch job.sh",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkSpecIfHere(o.Spec, o.Nodes); err != nil {
				return err
			}
			text, err := launch.Slurm(o)
			if err == nil {
				warnOfSpecElsewhere(cmd, o.Spec)
			}
			return printScript(cmd, text, err)
		},
	}
	deploymentFlags(cmd, &o.Deployment, "parallax")
	flags := cmd.Flags()
	flags.IntVar(&o.Nodes, "nodes", 0, "nodes in the whole cluster (required)")
	flags.StringVar(&o.Job, "job", "parallax", "the job's `name`")
	flags.IntVar(&o.TasksPerHost, "tasks-per-host", 1, "nodes of the cluster on each host")
	flags.IntVar(&o.CPUs, "cpus", 0, "cores of each node (default: Slurm's)")
	flags.IntVar(&o.GPUs, "gpus", 0, "GPUs of each node")
	flags.StringVar(&o.Time, "time", "", "`limit` of the job's time, as Slurm writes it (default: the partition's)")
	flags.StringVar(&o.Partition, "partition", "", "`name` of the partition (default: the cluster's)")
	flags.StringVar(&o.Account, "account", "", "`name` of the account (default: the user's)")
	return cmd
}

func launchSystemdCommand() *cobra.Command {
	var o launch.SystemdOptions
	cmd := &cobra.Command{
		Use:   "systemd coordinator|node",
		Short: "Print a systemd unit, for the coordinator's host or for every node's",
		Example: `  parallax launch systemd coordinator --nodes 2 --coordinator host-a --user parallax \
      --spec /etc/parallax/run.toml --run-dir /shared/runs/first \
      > /etc/systemd/system/parallax-coordinator.service
  parallax launch systemd node --coordinator host-a > /etc/systemd/system/parallax-node.service`,
		Args:      oneOf("coordinator", "node"),
		ValidArgs: []string{"coordinator", "node"},
		RunE: func(cmd *cobra.Command, args []string) error {
			render := launch.SystemdCoordinator
			if args[0] == "node" {
				render = launch.SystemdNode
			}
			if err := checkSpecIfHere(o.Spec, o.Nodes); err != nil {
				return err
			}
			unit, err := render(o)
			if err == nil && args[0] == "coordinator" {
				warnOfSpecElsewhere(cmd, o.Spec)
			}
			if err == nil && o.TLSDir == "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: without --tls-dir the unit serves the whole network in the clear (--insecure); do so only on a network that you trust")
			}
			return printScript(cmd, unit, err)
		},
	}
	deploymentFlags(cmd, &o.Deployment, launch.SystemdBinary)
	cmd.Flags().IntVar(&o.Nodes, "nodes", 0, "nodes in the whole cluster (required)")
	for _, flag := range []string{"spec", "run-dir", "nodes"} {
		f := cmd.Flags().Lookup(flag)
		f.Usage = strings.Replace(f.Usage, "(required)", "(required for the coordinator)", 1)
	}
	cmd.Flags().StringVar(&o.User, "user", "parallax", "`user` that the processes run as")
	cmd.Flags().StringVar(&o.Coordinator, "coordinator", "", "`host` that the coordinator runs on (required)")
	return cmd
}

func launchSSHCommand() *cobra.Command {
	var o launch.SSHOptions
	cmd := &cobra.Command{
		Use:   "ssh HOST...",
		Short: "Print a script that starts a node on each host by ssh, and the coordinator here",
		Example: "  parallax launch ssh --coordinator host-a --spec run.toml --run-dir /shared/runs/first host-a host-b > start.sh\n" +
			"  parallax launch ssh --coordinator host-a --spec run.toml --run-dir /shared/runs/first --tls-dir /etc/parallax/tls --gossip-key-file gossip.key host-a host-b > start.sh",
		RunE: func(cmd *cobra.Command, hosts []string) error {
			o.Hosts = hosts
			text, err := launch.SSH(o)
			if err == nil {
				if _, err := loadSpecFor(o.Spec, len(hosts)); err != nil {
					return err
				}
			}
			return printScript(cmd, text, err)
		},
	}
	deploymentFlags(cmd, &o.Deployment, "parallax")
	cmd.Flags().StringVar(&o.Coordinator, "coordinator", "", "this `host`, as the others reach it (required)")
	return cmd
}
