package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"parallax/internal/coord"
	"parallax/internal/estimate"
	"parallax/kernels"
)

// estimateFlags are what is estimated, and where it would run.
type estimateFlags struct {
	spec    specFlags
	nodes   int
	oneHost bool
	device  string
	threads int
	link    float64
	ledger  string
	json    bool
}

func estimateCommand() *cobra.Command {
	f := estimateFlags{spec: specFlags{fallback: "sim"}}
	cmd := &cobra.Command{
		Use:   "estimate",
		Short: "Say what a run will take: parameters, FLOPs, memory, traffic, time",
		Long: `estimate counts what a run will need before it is started, for nodes on hosts like this
one: bytes on every rank, traffic on the ring, seconds per step. The seconds come from
this host's rate in matrix products, measured now, which no step exceeds; and from whole
steps that the ledger has of the same hardware and a model of about this size, where it has
such a run. It is named.

What does not fit in this host's or its device's memory is refused with exit code 2, naming the part that
takes most.`,
		Example: `  parallax estimate --preset gpt2-124m --nodes 4
  parallax estimate --config run.toml --nodes 8 --link 10
  parallax estimate --preset sim --nodes 4 --one-host
  parallax estimate --preset 1.7b --json | jq .memory_per_rank`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.spec.add(cmd)
	flags := cmd.Flags()
	flags.IntVarP(&f.nodes, "nodes", "n", 1, "number of nodes")
	flags.BoolVar(&f.oneHost, "one-host", false, "all nodes share this host, as with parallax sim")
	addDevice(flags, &f.device, "to compute on")
	addThreads(flags, &f.threads)
	flags.Float64Var(&f.link, "link", 0, "bandwidth between two hosts in Gbit/s, for the time in the ring (default: left out)")
	flags.StringVar(&f.ledger, "ledger", filepath.Join("runs", "ledger.db"), "SQLite `file` of the record, if there is one")
	flags.BoolVar(&f.json, "json", false, "print one JSON object")
	return cmd
}

func (f *estimateFlags) run(cmd *cobra.Command) error {
	switch {
	case f.nodes < 1 || f.nodes > coord.MaxNodes:
		return usageError("--nodes %d: a cluster has 1 to %d nodes", f.nodes, coord.MaxNodes)
	case !(f.link >= 0) || math.IsInf(f.link, 0):
		return usageError("--link %v: give Gbit/s, or 0 to leave the ring's time out", f.link)
	}
	p, err := f.predict()
	if err != nil {
		return err
	}
	if err := p.print(cmd.OutOrStdout(), f.json); err != nil {
		return err
	}
	return f.refuse(p)
}

func (f *estimateFlags) predict() (p prediction, err error) {
	loaded, err := f.spec.load()
	if err != nil {
		return p, err
	}
	if err := coord.CheckShares(loaded.Spec, f.nodes); err != nil {
		return p, &exitError{exitUsage, err}
	}
	m, err := modelOf(loaded.Spec)
	if err != nil {
		return p, err
	}
	be, err := kernels.Open(f.device, kernels.Options{Threads: f.threads})
	if err != nil {
		return p, &exitError{exitUsage, err}
	}
	defer be.Close()
	r := estimate.Run{Spec: loaded.Spec, Model: m, Nodes: f.nodes, OneHost: f.oneHost, Precision: be.Info().Precision, Lanes: kernels.Lanes(be)}
	sizer, sized := be.(kernels.Sizer)
	if sized {
		r.Overhead = sizer.Overhead(r.Spec.Train.MicroBatch*r.Spec.Train.SeqLen, m.Width, m.Vocabulary)
	}
	e, err := estimate.New(r)
	if err != nil {
		return p, &exitError{exitUsage, err}
	}
	p = prediction{Estimate: e, Needed: f.neededHere(e.Memory), Fits: true, RingSeconds: f.ringSeconds(e)}
	if available, known := estimate.HostMemory(); known {
		p.Available, p.Fits = available, p.Needed <= available
	}
	if sized {
		if _, p.DeviceBytes, err = sizer.Memory(); err != nil {
			return p, err
		}
		p.OnDevice = f.shared(e.Memory.Total() - e.Memory.Host())
		p.Fits = p.Fits && p.OnDevice <= p.DeviceBytes
	}
	p.Speeds, p.NoRecord, err = f.speeds(e, be)
	return p, err
}

// prediction is an estimate on this host.
type prediction struct {
	*estimate.Estimate
	Needed      int64   `json:"needed_here"` // of this host's memory, in bytes
	Available   int64   `json:"available_here"`
	Fits        bool    `json:"fits"`
	OnDevice    int64   `json:"needed_on_device,omitempty"` // in bytes, where the device has memory of its own
	DeviceBytes int64   `json:"device_bytes,omitempty"`
	Speeds      []speed `json:"seconds_per_step"`
	NoRecord    string  `json:"no_record,omitempty"`             // why no run in the ledger tells the time
	RingSeconds float64 `json:"ring_seconds_per_step,omitempty"` // that the wire alone takes
}

// neededHere is what the nodes on this host take of its memory. A device other
// than the CPU has its own.
func (f *estimateFlags) neededHere(m estimate.Memory) int64 {
	bytes := m.Host()
	if kind, _, err := kernels.ParseDevice(f.device); err == nil && kind == "cpu" {
		bytes = m.Total()
	}
	return f.shared(bytes)
}

// shared is what all nodes on this host take, given what one does.
func (f *estimateFlags) shared(bytes int64) int64 {
	if f.oneHost {
		bytes *= int64(f.nodes)
	}
	return bytes
}

func (f *estimateFlags) ringSeconds(e *estimate.Estimate) float64 {
	if f.link == 0 {
		return 0
	}
	return 8 * float64(e.Traffic.Total()) / (f.link * 1e9)
}

// refuse is the error of a run that does not fit.
func (f *estimateFlags) refuse(p prediction) error {
	if p.Fits {
		return nil
	}
	largest := p.Memory.Largest()
	who := "a node"
	if f.oneHost && f.nodes > 1 {
		who = fmt.Sprintf("%d nodes on this host", f.nodes)
	}
	if p.OnDevice > p.DeviceBytes {
		return usageError("%s would need %s on %s, which has %s: the largest part on a rank is %s with %s; %s", who,
			gib(p.OnDevice), f.device, gib(p.DeviceBytes), largest.Name, gib(largest.Bytes), largest.Remedy)
	}
	return usageError("%s would need %s, and %s are available: the largest part on a rank is %s with %s; %s", who,
		gib(p.Needed), gib(p.Available), largest.Name, gib(largest.Bytes), largest.Remedy)
}

func (p prediction) print(w io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(p)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(table, name+"\t"+format+"\n", args...) }
	row("parameters", "%d", p.Parameters)
	row("FLOPs/token", "%.4g model, %.4g by 6N+12LHDT", p.FLOPsPerToken, p.FLOPsPerToken6N)
	row("step", "%d tokens; %d micro-batches on the busiest rank", p.TokensPerStep, p.BusiestSlots)
	for _, part := range p.Memory {
		row("memory", "%s\t%s", gib(part.Bytes), part.Name)
	}
	row("", "%s\ton a rank", gib(p.Memory.Total()))
	if p.Available > 0 {
		row("", "%s\tneeded of this host, which has %s available", gib(p.Needed), gib(p.Available))
	}
	if p.OnDevice > 0 {
		row("", "%s\ton the device, which has %s", gib(p.OnDevice), gib(p.DeviceBytes))
	}
	row("traffic", "%s\tof gradients, sent by a rank in a step", gib(p.Traffic.Gradients))
	row("", "%s\tof updates", gib(p.Traffic.Updates))
	if p.RingSeconds > 0 {
		row("", "%s\ton the wire, partly hidden behind the backward pass", timeSpan(p.RingSeconds))
	}
	for _, s := range p.Speeds {
		row("time", "%s\ta step, %s for %d, %s (%.4g GFLOP/s)", timeSpan(s.Seconds), timeSpan(s.Seconds*float64(p.Steps)), p.Steps, s.Source, s.Rate/1e9)
	}
	if p.NoRecord != "" {
		row("", "(%s)", p.NoRecord)
	}
	return table.Flush()
}

// gib writes bytes with a binary prefix.
func gib(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	case bytes > 0:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	default:
		return "none"
	}
}

// timeSpan writes seconds as a person would say them.
func timeSpan(s float64) string {
	switch {
	case s < 1:
		return fmt.Sprintf("%.3g ms", 1e3*s)
	case s < 120:
		return fmt.Sprintf("%.3g s", s)
	case s < 2*3600:
		return fmt.Sprintf("%.0f min", s/60)
	case s < 48*3600:
		return fmt.Sprintf("%.1f h", s/3600)
	default:
		return fmt.Sprintf("%.0f days", s/86400)
	}
}
