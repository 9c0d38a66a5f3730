package launch

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// DefaultPort is the coordinator's where none is given.
const DefaultPort = "7070"

// Placement is what a launcher tells a process about its place in the cluster.
type Placement struct {
	Rank        int    // -1: not told
	World       int    // how many processes there are, 0: not told
	LocalRank   int    // among those of this host, -1: not told
	Coordinator string // host:port, "": not told
	Name        string // unique among the processes, "": not told
}

// maxWorld bounds ranks and worlds: more is a mistake.
const maxWorld = 1 << 20

// FromEnvironment reads the variables of torchrun (RANK, WORLD_SIZE, LOCAL_RANK,
// MASTER_ADDR, MASTER_PORT) and Slurm (SLURM_PROCID, SLURM_NTASKS,
// SLURM_LOCALID, SLURM_JOB_NODELIST, SLURMD_NODENAME), given as os.Environ does.
// An empty variable counts as unset. Where two contradict each other, or one lacks
// its partner, the error names both.
func FromEnvironment(environ []string) (Placement, error) {
	env := variables(environ)
	var p Placement
	var err error
	if p.Rank, err = env.number(-1, "RANK", "SLURM_PROCID"); err != nil {
		return Placement{}, err
	}
	if p.World, err = env.number(0, "WORLD_SIZE", "SLURM_NTASKS"); err != nil {
		return Placement{}, err
	}
	if p.LocalRank, err = env.number(-1, "LOCAL_RANK", "SLURM_LOCALID"); err != nil {
		return Placement{}, err
	}
	if err := p.check(); err != nil {
		return Placement{}, err
	}
	hosts, err := ExpandHosts(env["SLURM_JOB_NODELIST"])
	if err != nil {
		return Placement{}, fmt.Errorf("SLURM_JOB_NODELIST: %w", err)
	}
	if p.Coordinator, err = env.coordinator(hosts); err != nil {
		return Placement{}, err
	}
	p.Name = p.name(env["SLURMD_NODENAME"], len(hosts))
	return p, nil
}

func (p Placement) check() error {
	switch {
	case p.Rank >= 0 && p.World == 0:
		return fmt.Errorf("the environment says that this is rank %d, but not of how many: set WORLD_SIZE (or SLURM_NTASKS) too", p.Rank)
	case p.World > 0 && p.Rank < 0:
		return fmt.Errorf("the environment says that there are %d processes, but not which one this is: set RANK (or SLURM_PROCID) too", p.World)
	case p.Rank >= 0 && p.Rank >= p.World:
		return fmt.Errorf("the environment says that this is rank %d of %d; ranks count from 0", p.Rank, p.World)
	case p.LocalRank >= 0 && p.World > 0 && p.LocalRank >= p.World:
		return fmt.Errorf("the environment says that this is local rank %d, but there are only %d processes", p.LocalRank, p.World)
	}
	return nil
}

// name is the host's, with the local rank where several processes share a host.
func (p Placement) name(host string, hosts int) string {
	switch {
	case host == "" && p.Rank < 0:
		return ""
	case host == "":
		return fmt.Sprintf("rank-%d", p.Rank)
	case p.LocalRank > 0 || p.LocalRank == 0 && hosts > 0 && p.World > hosts:
		return fmt.Sprintf("%s-%d", host, p.LocalRank)
	default:
		return host
	}
}

// vars are environment variables by name.
type vars map[string]string

func variables(environ []string) vars {
	env := make(vars)
	for _, entry := range environ {
		if name, value, found := strings.Cut(entry, "="); found {
			env[name] = value
		}
	}
	return env
}

// number reads the one of two variables that is set, or both if they agree.
func (v vars) number(unset int, general, slurm string) (int, error) {
	first, err := v.parse(unset, general)
	if err != nil {
		return 0, err
	}
	second, err := v.parse(unset, slurm)
	switch {
	case err != nil:
		return 0, err
	case v[general] == "":
		return second, nil
	case v[slurm] != "" && first != second:
		return 0, fmt.Errorf("%s is %d, but %s is %d: unset the one that is wrong", general, first, slurm, second)
	default:
		return first, nil
	}
}

func (v vars) parse(unset int, name string) (int, error) {
	if v[name] == "" {
		return unset, nil
	}
	n, err := strconv.Atoi(v[name])
	if err != nil || n < 0 || n > maxWorld {
		return 0, fmt.Errorf("%s is %q, which is not a number from 0 to %d", name, v[name], maxWorld)
	}
	return n, nil
}

// coordinator is where MASTER_ADDR says, or on the job's first host.
func (v vars) coordinator(hosts []string) (string, error) {
	host := v["MASTER_ADDR"]
	if host == "" && len(hosts) > 0 {
		host = hosts[0]
	}
	port := v["MASTER_PORT"]
	if host == "" && port != "" {
		return "", fmt.Errorf("MASTER_PORT is %s, but MASTER_ADDR is not set", port)
	}
	if host == "" {
		return "", nil
	}
	if n, err := strconv.Atoi(cmp.Or(port, DefaultPort)); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("MASTER_PORT is %q, which is not a port", port)
	}
	return net.JoinHostPort(host, cmp.Or(port, DefaultPort)), nil
}

// Device is the device for a process of a host that has several: a GPU given by its
// kind alone is that of the local rank, but where visible, the GPUs that the process
// may see, is one.
func (p Placement) Device(device, visible string) string {
	if device == "cuda" && p.LocalRank >= 0 && (visible == "" || strings.Contains(visible, ",")) {
		return fmt.Sprintf("cuda:%d", p.LocalRank)
	}
	return device
}
