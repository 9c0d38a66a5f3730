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
	daemonFlags
	options agent.Options
	ring    string
	fabric  string
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
	f.daemon(cmd, f.run)
	f.declare(cmd)
	return cmd
}

func (f *nodeFlags) declare(cmd *cobra.Command) {
	o, flags := &f.options, cmd.Flags()
	o.Listen, o.Gossip = "127.0.0.1:0", "127.0.0.1:0"
	f.add(cmd, reach{&o.Listen, &o.Advertise, &o.Gossip}, "the ring", "that the run must have (default: whatever the coordinator says)")
	flags.StringVar(&o.Name, "name", "", "`name` of this node, unique in the cluster (default: the host's name)")
	flags.StringVar(&o.Coordinator, "coordinator", "", "`HOST:PORT` of the coordinator (default: from MASTER_ADDR)")
	flags.StringVar(&f.ring, "ring-transport", string(agent.TCP), "`protocol` that carries the ring's frames: tcp, over a connection that gRPC has negotiated, or grpc alone")
	flags.StringVar(&f.fabric, "fabric", string(train.FabricAuto), "`fabric` that GPUs' gradients go through: nccl, ring, or auto for nccl where every rank has a GPU of its own")
	flags.StringVar(&o.Device, "device", "cpu", "`device` to train on: cpu, cuda:1, or cuda for the GPU of the local rank")
	addThreads(flags, &o.Threads)
	addCache(flags, &o.CacheDir)
	flags.DurationVar(&o.Patience, "patience", 2*time.Minute, "how long to wait for the coordinator")
	flags.BoolVar(&o.Requeue, "requeue", false, requeueUsage)
}

func (f *nodeFlags) run(cmd *cobra.Command) error {
	f.options.Log, f.options.Prepared = newLogger(f.verbose), paceCollector
	if err := config.CheckPatience(f.options.Patience); err != nil {
		return err
	}
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
	o.Device = p.Device(o.Device, os.Getenv("CUDA_VISIBLE_DEVICES"))
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
