package cli

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"parallax/internal/agent"
	"parallax/internal/config"
	"parallax/internal/train"
	"parallax/launch"
)

// nodeFlags are how a node is deployed.
type nodeFlags struct {
	options agent.Options
	spec    specFlags
	trust   trustFlags
	file    string
	ring    string
	fabric  string
	verbose bool
}

// Node is the daemon on a host with a device.
func Node() *cobra.Command {
	var f nodeFlags
	cmd := newRoot("node", "Train a share of every step on this host's device")
	cmd.Long = `node joins a coordinator's cluster and trains its share of every step until the run is
over.

Every flag can also be given as PARALLAX_FLAG_NAME in the environment, or in a TOML
file with --settings. Under torchrun and Slurm, RANK, WORLD_SIZE, MASTER_ADDR and
SLURM_* say which rank this is and where the coordinator is.

SIGINT and SIGTERM drain: the node leaves after the step under way, if the coordinator's
--min-nodes are left without it. Otherwise the cluster finishes the step, saves, and stops.
A node that is started while the run goes on without a lost one takes its place.`
	cmd.Example = `  node --coordinator 10.0.0.1:7070 --listen 10.0.0.2:7071 --gossip 10.0.0.2:7947 --insecure
  node --coordinator 127.0.0.1:7070 --device cpu --threads 4
  node --coordinator head:7070 --listen 0.0.0.0:7071 --gossip 0.0.0.0:7947 --advertise gpu07 --name gpu07 \
      --tls-ca tls/ca.pem --tls-cert tls/cert.pem --tls-key tls/key.pem
  MASTER_ADDR=10.0.0.1 RANK=3 WORLD_SIZE=8 node --listen 10.0.0.5:7071 --gossip 10.0.0.5:7947 --insecure`
	cmd.Args = exactly()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := config.Daemon(cmd.Flags(), f.file); err != nil {
			return err
		}
		return f.run(cmd)
	}
	f.add(cmd)
	return cmd
}

func (f *nodeFlags) add(cmd *cobra.Command) {
	o, flags := &f.options, cmd.Flags()
	flags.StringVar(&o.Name, "name", "", "name of this node, unique in the cluster (default: the host's name)")
	flags.StringVar(&o.Coordinator, "coordinator", "", "HOST:PORT of the coordinator (default: from MASTER_ADDR)")
	flags.StringVar(&o.Listen, "listen", "127.0.0.1:0", "HOST:PORT for the ring, port 0 for a free one")
	flags.StringVar(&o.Gossip, "gossip", "127.0.0.1:0", "IP:PORT of the gossip cluster, port 0 for a free one")
	flags.StringVar(&o.Advertise, "advertise", "", "host that others reach this one at (default: that of --listen)")
	flags.StringVar(&f.ring, "ring-transport", string(agent.TCP), "what carries the ring's frames: tcp, over a connection that gRPC has negotiated, or grpc alone")
	flags.StringVar(&f.fabric, "fabric", string(train.FabricAuto), "what GPUs' gradients go through: nccl, ring, or auto for nccl where every rank has a GPU of its own")
	flags.StringVar(&o.Device, "device", "cpu", "device to train on: cpu, cuda:0")
	flags.IntVar(&o.Threads, "threads", 0, "host threads of a CPU device (default all)")
	flags.StringVar(&o.CacheDir, "cache", "", "folder of token files (default: the user's cache folder)")
	flags.DurationVar(&o.Patience, "patience", 2*time.Minute, "how long to wait for the coordinator")
	f.trust.add(flags)
	flags.StringVar(&f.spec.file, "spec", "", "TOML file with the settings that the run must have (default: whatever the coordinator says)")
	flags.StringVar(&f.file, "settings", "", "TOML file with these flags' values")
	flags.BoolVar(&f.verbose, "verbose", false, "log gossip too")
	_ = cmd.MarkFlagFilename("spec", "toml")
}

func (f *nodeFlags) run(cmd *cobra.Command) error {
	f.options.Log = newLogger(f.verbose)
	for _, complete := range []func() error{f.fromEnvironment, f.expectSpec, f.secure, f.chooseTransport} {
		if err := complete(); err != nil {
			return err
		}
	}
	return agent.Run(cmd.Context(), f.options)
}

// fromEnvironment fills in what a launcher has said.
func (f *nodeFlags) fromEnvironment() error {
	o := &f.options
	p, err := launch.FromEnvironment(os.Environ())
	if err != nil {
		return usageError("%w", err)
	}
	if p.Rank >= 0 {
		rank := int32(p.Rank)
		o.Rank, o.World = &rank, int32(p.World)
	}
	if o.Coordinator == "" {
		o.Coordinator = p.Coordinator
	}
	if o.Coordinator == "" {
		return usageError("where is the coordinator? give it with --coordinator HOST:PORT, or MASTER_ADDR in the environment")
	}
	if o.Name == "" {
		o.Name = p.Name
	}
	if o.Name == "" {
		o.Name, err = os.Hostname()
	}
	return err
}

func (f *nodeFlags) chooseTransport() (err error) {
	if f.options.Transport, err = agent.ParseTransport(f.ring); err != nil {
		return usageError("--ring-transport: %w", err)
	}
	if f.options.Fabric, err = train.ParseFabric(f.fabric); err != nil {
		return usageError("--fabric: %w", err)
	}
	return nil
}

// expectSpec reads the spec that the coordinator's is held against.
func (f *nodeFlags) expectSpec() error {
	if f.spec.file == "" {
		return nil
	}
	loaded, err := f.spec.load()
	if err != nil {
		return err
	}
	f.options.SpecTOML = string(config.Canonical(loaded.Spec))
	return nil
}

// secure reads what the others must show, and refuses to be reachable without TLS
// unless that is asked for.
func (f *nodeFlags) secure() (err error) {
	o := &f.options
	o.Insecure = f.trust.insecure
	if o.Trust, err = f.trust.load("node"); err != nil {
		return err
	}
	for _, address := range [][2]string{{"--coordinator", o.Coordinator}, {"--listen", o.Listen}, {"--gossip", o.Gossip}} {
		if err := o.Trust.CheckAddress(address[0], address[1], o.Insecure); err != nil {
			return usageError("%w", err)
		}
	}
	return nil
}
