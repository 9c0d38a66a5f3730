package cli

import (
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"parallax/launch"
)

func launchKubernetesCommand() *cobra.Command {
	var o launch.KubernetesOptions
	var spec string
	cmd := &cobra.Command{
		Use:   "k8s",
		Short: "Print the manifests of a run on Kubernetes",
		Long: `k8s prints plain manifests, for Kubernetes 1.29 or newer: a ConfigMap with the spec, a
headless Service, claims for the record and the checkpoints, a Job for the coordinator
and an Indexed Job for the nodes. Pods that crash, or that the cluster takes back, are
started again, and the run goes on from the coordinator's record. A wrong
configuration (exit code 2) is not tried again.

All nodes read data.path of the spec: put the data on the shared volume, at --mount.`,
		Example: `  parallax launch k8s --name first --image registry.example/parallax --spec run.toml --nodes 8 > first.yaml
  parallax launch k8s --name first --image registry.example/parallax --spec run.toml --nodes 8 --min-nodes 6 \
      --device cuda:0 --gpus 1 --memory 64Gi --claim datasets --tls | kubectl apply -f -`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := readSpec(spec, o.Nodes, &o.SpecText)
			if err != nil {
				return err
			}
			text, err := launch.Kubernetes(o)
			if err == nil && data != "" && !within(o.Mount, data) {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: data.path %s of %s is not on the shared volume, which is at %s: "+
					"pods have it only if the image does; put it there, or give another --mount\n", data, spec, o.Mount)
			}
			return printScript(cmd, text, err)
		},
	}
	kubernetesFlags(cmd, &o)
	cmd.Flags().StringVar(&spec, "spec", "", "TOML `file` with the run's settings, here (required)")
	_ = cmd.MarkFlagFilename("spec", "toml")
	return cmd
}

func kubernetesFlags(cmd *cobra.Command, o *launch.KubernetesOptions) {
	flags := cmd.Flags()
	flags.StringVar(&o.Name, "name", "parallax", "`name` of the run, which every object's begins with")
	flags.StringVar(&o.Image, "image", "", "`image` of the containers, built from launch/Dockerfile (required)")
	flags.IntVar(&o.Nodes, "nodes", 0, "nodes in the whole cluster (required)")
	minNodesFlag(cmd, &o.Deployment)
	flags.StringVar(&o.Device, "device", "cpu", "`device` of every node: cpu, cuda:0")
	addThreadsOf(flags, &o.Threads, "threads of every node (default: all)")
	flags.IntVar(&o.GPUs, "gpus", 0, "GPUs of each node")
	flags.StringVar(&o.CPUs, "cpus", "", "cores of each node, as `amount` (default: no request)")
	flags.StringVar(&o.Memory, "memory", "", "memory of each node, as `amount` (default: no request)")
	flags.StringVar(&o.Mount, "mount", "/shared", "`folder` of the containers where the shared volume is")
	flags.StringVar(&o.RunDir, "run-dir", "", "`folder` on the shared volume for checkpoints (default: --mount and --name)")
	flags.StringVar(&o.Claim, "claim", "", "`name` of the PersistentVolumeClaim of the shared volume, ReadWriteMany (default: one is made)")
	flags.StringVar(&o.Storage, "storage", "100Gi", "`size` of the shared volume, if it is made")
	flags.StringVar(&o.StorageClass, "storage-class", "", "`class` of the shared volume, if it is made (default: the cluster's)")
	flags.BoolVar(&o.TLS, "tls", false, "certificates, gossip key and join token from two Secrets, whose making the manifests describe (default: no TLS, on a network you trust)")
	flags.DurationVar(&o.JoinTimeout, "join-timeout", 0, "how long nodes and coordinator wait for each other (default: 10m)")
	flags.DurationVar(&o.Grace, "grace", 0, "how long a pod has to finish its step and save (default: 5m)")
}

// readSpec reads the text of a spec that a coordinator of so many nodes would take, and
// where its data is; "" for a task that has none.
func readSpec(file string, nodes int, text *string) (data string, err error) {
	if file == "" {
		return "", nil // and Kubernetes says so
	}
	spec, err := loadSpecFor(file, nodes)
	if err != nil {
		return "", err
	}
	if spec.Data.Path == "" && spec.Data.Task == "none" {
		return "", usageError("%s sets neither data.path nor data.task: the default data is a Go installation's source, which no pod has; put the data on the shared volume and say where it is there, as in data.path = \"/shared/text\"", file)
	}
	content, err := os.ReadFile(file)
	*text = string(content)
	return spec.Data.Path, err
}

// within reports whether a path of the containers is in a folder of theirs.
func within(folder, file string) bool {
	return strings.HasPrefix(path.Clean(file)+"/", path.Clean(folder)+"/")
}
