package launch

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// KubernetesOptions describe a run's objects in a cluster, 1.29 or newer. Of Deployment,
// Spec, TLSDir, GossipKeyFile and JoinTokenFile are places in the containers, which are
// filled in here.
type KubernetesOptions struct {
	Deployment
	Name         string // of the run, which every object's begins with; "": parallax
	Image        string
	SpecText     string // TOML
	Mount        string // where the shared volume is in the containers; "": /shared
	Claim        string // the PersistentVolumeClaim of that volume; "": one is made
	Storage      string // its size, if it is made; "": 100Gi
	StorageClass string // its class, if it is made; "": the cluster's default
	GPUs         int    // of each node
	CPUs         string // of each node, as Kubernetes writes it; "": no request
	Memory       string // likewise
	TLS          bool   // with certificates, gossip key and join token from two Secrets
	Grace        time.Duration
}

// Places in the containers.
const (
	podSpec   = "/etc/parallax/run/run.toml"
	podTLS    = "/etc/parallax/tls"
	podStore  = "/var/lib/parallax"
	podCache  = "/cache"
	podBinary = "parallax"
)

// Kubernetes renders the manifests of a run: a ConfigMap with its spec, a headless
// Service by which the coordinator is found, a claim for the record and one for the
// checkpoints, a Job for the coordinator and an Indexed Job for the nodes. Pods that
// crash or are evicted come back; those that end by their own decision do not.
func Kubernetes(o KubernetesOptions) (string, error) {
	if err := o.complete(); err != nil {
		return "", fmt.Errorf("k8s: %w", err)
	}
	return render("kubernetes.yaml", o)
}

var (
	dnsLabel = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	dnsName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
	quantity = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$`)
)

// maxName leaves room in 63 characters for "-coordinator-0" and for an index.
const maxName = 40

func (o *KubernetesOptions) complete() error {
	o.Name, o.Mount, o.Storage = cmp.Or(o.Name, "parallax"), cmp.Or(o.Mount, "/shared"), cmp.Or(o.Storage, "100Gi")
	o.Grace = cmp.Or(o.Grace, 5*time.Minute)
	o.Binary, o.Spec, o.RunDir = cmp.Or(o.Binary, podBinary), podSpec, cmp.Or(o.RunDir, o.Mount+"/"+o.Name)
	if o.TLS {
		o.TLSDir, o.GossipKeyFile, o.JoinTokenFile = podTLS, podTLS+"/gossip.key", podTLS+"/token"
	}
	if err := o.Deployment.complete(); err != nil {
		return err
	}
	return o.check()
}

func (o *KubernetesOptions) check() error {
	switch {
	case len(o.Name) > maxName || !dnsLabel.MatchString(o.Name):
		return fmt.Errorf("%q cannot be the name of objects: use up to %d lower-case letters, digits and -, a letter first", o.Name, maxName)
	case o.Image == "" || hasControl(o.Image) || strings.Contains(o.Image, " "):
		return fmt.Errorf("%q is not an image; build one from launch/Dockerfile and give its name", o.Image)
	case o.SpecText == "":
		return fmt.Errorf("which run is to be trained? give the file of its spec with --spec")
	case hasControl(strings.NewReplacer("\n", "", "\t", "").Replace(o.SpecText)):
		return fmt.Errorf("the spec has a control character, and a ConfigMap is text")
	case o.Mount[0] != '/' || !strings.HasPrefix(o.RunDir, o.Mount+"/"):
		return fmt.Errorf("checkpoints in %q would not be on the shared volume, which is at %q", o.RunDir, o.Mount)
	case o.GPUs < 0:
		return fmt.Errorf("a node cannot have %d GPUs", o.GPUs)
	case o.Grace < time.Second:
		return fmt.Errorf("within %s no step can be finished and saved", o.Grace)
	}
	for _, name := range []string{o.Claim, o.StorageClass} {
		if name != "" && !dnsName.MatchString(name) {
			return fmt.Errorf("%q is not the name of a claim or a class of storage", name)
		}
	}
	for _, amount := range []string{o.CPUs, o.Memory, o.Storage} {
		if amount != "" && !quantity.MatchString(amount) {
			return fmt.Errorf("%q is not an amount as Kubernetes writes it, such as 16, 500m or 64Gi", amount)
		}
	}
	return nil
}

// CoordinatorHost is the coordinator's name in the cluster's DNS, from the same
// namespace.
func (o KubernetesOptions) CoordinatorHost() string { return o.Name + "-coordinator-0." + o.Name }

// SharedClaim is the claim of the shared volume.
func (o KubernetesOptions) SharedClaim() string { return cmp.Or(o.Claim, o.Name+"-shared") }

// CoordinatorCommand is the coordinator's, as a list in YAML.
func (o KubernetesOptions) CoordinatorCommand() string {
	args := append([]string{o.Binary, "coordinator"}, escapeVariables(o.CoordinatorArgs())...)
	return yamlList(append(args, "--advertise", "$(POD_IP)", "--ledger", podStore+"/ledger.db",
		"--quorum-timeout", o.JoinTimeout.String(), "--requeue"))
}

// NodeCommand is a node's. Its name is that of its pod's index, so that one that comes
// back is known.
func (o KubernetesOptions) NodeCommand() string {
	args := append([]string{o.Binary, "node"}, escapeVariables(o.NodeArgs(nodePort, nodeGossipPort))...)
	return yamlList(append(args, "--name", o.Name+"-node-$(POD_INDEX)", "--advertise", "$(POD_IP)",
		"--coordinator", fmt.Sprintf("%s:%d", o.CoordinatorHost(), o.Port), "--cache", podCache,
		"--patience", o.JoinTimeout.String(), "--requeue"))
}

// Indexes are those of the nodes' pods.
func (o KubernetesOptions) Indexes() []int {
	all := make([]int, o.Nodes)
	for i := range all {
		all[i] = i
	}
	return all
}

// Last is the highest index of a node's pod.
func (o KubernetesOptions) Last() int { return o.Nodes - 1 }

// Spare is how many nodes the run can do without.
func (o KubernetesOptions) Spare() int { return o.Nodes - cmp.Or(o.MinNodes, o.Nodes) }

// GraceSeconds are what a pod is given to end.
func (o KubernetesOptions) GraceSeconds() int { return int(o.Grace.Seconds()) }

// NodePorts are the ring's and gossip's.
func (o KubernetesOptions) NodePorts() [2]string { return [2]string{nodePort, nodeGossipPort} }

// SpecLines are the spec's, for a block of YAML.
func (o KubernetesOptions) SpecLines() []string {
	return strings.Split(strings.TrimRight(o.SpecText, "\n"), "\n")
}

// escapeVariables keeps Kubernetes from expanding what was given to us.
func escapeVariables(args []string) []string {
	escaped := make([]string, len(args))
	for i, arg := range args {
		escaped[i] = strings.ReplaceAll(arg, "$(", "$$(")
	}
	return escaped
}

// yamlQuote writes text as JSON does, which YAML understands.
func yamlQuote(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string and a builder cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}

func yamlList(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = yamlQuote(word)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
