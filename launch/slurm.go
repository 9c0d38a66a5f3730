package launch

import (
	"cmp"
	"fmt"
	"regexp"
)

// SlurmOptions describe a job.
type SlurmOptions struct {
	Deployment
	Job          string // name; "": parallax
	TasksPerHost int    // nodes of the cluster on each host; 0: 1
	CPUs         int    // cores of each task; 0: Slurm's default
	GPUs         int    // of each task
	Time         string // limit, as Slurm writes it; "": the partition's
	Partition    string // "": the default one
	Account      string // "": the default one
}

// Slurm renders a script for sbatch: a node for each task, the coordinator in the
// batch step on the first host. Two minutes before the time limit the run stops
// with a checkpoint and the job is queued again.
func Slurm(o SlurmOptions) (string, error) {
	if err := o.complete(); err != nil {
		return "", fmt.Errorf("slurm: %w", err)
	}
	return render("slurm.sh", o)
}

// directive matches the values of #SBATCH lines, which no shell unquotes.
var directive = regexp.MustCompile(`^[A-Za-z0-9_.:-]*$`)

func (o *SlurmOptions) complete() error {
	if err := o.Deployment.complete(); err != nil {
		return err
	}
	o.Job, o.TasksPerHost = cmp.Or(o.Job, "parallax"), cmp.Or(o.TasksPerHost, 1)
	if o.TasksPerHost < 1 || o.Nodes%o.TasksPerHost != 0 {
		return fmt.Errorf("%d nodes cannot be spread evenly with %d on each host", o.Nodes, o.TasksPerHost)
	}
	if o.CPUs < 0 || o.GPUs < 0 {
		return fmt.Errorf("a task cannot have %d cores and %d GPUs", o.CPUs, o.GPUs)
	}
	for _, value := range []string{o.Job, o.Time, o.Partition, o.Account} {
		if !directive.MatchString(value) {
			return fmt.Errorf("%q cannot stand in an #SBATCH line: use letters, digits, and _ . : -", value)
		}
	}
	return nil
}

// Hosts is how many hosts the job needs.
func (o SlurmOptions) Hosts() int { return o.Nodes / o.TasksPerHost }

// CoordinatorCommand is a shell's command line.
func (o SlurmOptions) CoordinatorCommand() string {
	return shellWords(append([]string{o.Binary, "coordinator"}, o.CoordinatorArgs()...))
}

// NodeCommand is a shell's command line; free ports, as a host may have several.
func (o SlurmOptions) NodeCommand() string {
	return shellWords(append([]string{o.Binary, "node"}, o.NodeArgs("0", "0")...))
}
