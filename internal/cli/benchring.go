package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parallax/collective"
	"parallax/internal/agent"
	"parallax/internal/bench"
	"parallax/internal/ringbench"
	"parallax/internal/version"
)

// ringFlags are what is measured, and between whom.
type ringFlags struct {
	nodes     []int
	bytes     byteSize
	rounds    int
	op        string
	transport string
	rank      int
	listen    string
	tls       bool
	trust     trustFlags
	json      bool

	member bool // a process of a ring on this machine
	seat   ringbench.Seat
	trial  collective.Trial
}

func benchRingCommand() *cobra.Command {
	var f ringFlags
	cmd := &cobra.Command{
		Use:   "ring [[NAME=]HOST:PORT...]",
		Short: "Measure all-reduces between processes, here or on many hosts",
		Long: `ring measures what a step's reductions cost: all-reduces of a tensor, reported as NCCL's
tests do; bytes that travel one way in chunks of 1 MiB, from rank 0 to the last: with two
ranks the rate from one point to another; and, in turns with that, a state of as many bytes
that the last rank fetches from rank 0 as a joiner does, with all checks.

Without addresses it starts processes on loopback, once for each number in --nodes. With
the addresses of all ranks, in ring order, it is one of them; the same command runs on every
host, with another --rank, and rank 0 prints the figures. With TLS each NAME must be in the
certificate of that host (default: HOST).

Algorithm GB/s are the tensor's bytes over the median time; bus GB/s are what each link
carries, 2(n-1)/n times as many; CPU s/GB is the processor time of all processes for each
GB that they send.`,
		Example: `  parallax bench ring
  parallax bench ring --nodes 2,4 --op sum-exact --transport grpc --json
  parallax bench ring --tls
  parallax bench ring --insecure --rank 0 10.0.0.1:7071 10.0.0.2:7071   # and --rank 1 on the other host`,
		Args: cobra.ArbitraryArgs,
		RunE: f.run,
	}
	flags := cmd.Flags()
	flags.IntSliceVarP(&f.nodes, "nodes", "n", []int{2, 4}, "`numbers` of processes on this machine, one ring for each")
	f.bytes = 100_000_000
	flags.Var(&f.bytes, "bytes", "`size` of the tensor, such as 8000000, 8e6, 8MB or 8MiB")
	flags.IntVar(&f.rounds, "rounds", 10, "repetitions, of which the median counts")
	flags.StringVar(&f.op, "op", collective.SumF32.String(), "`operation` that is measured: sum-f32, sum-bf16, sum-exact")
	flags.StringVar(&f.transport, "transport", string(agent.TCP), "`protocol` that carries the frames: tcp, or grpc alone")
	flags.IntVar(&f.rank, "rank", -1, "which of the addresses this process is, from 0 (required with addresses)")
	flags.StringVar(&f.listen, "listen", "", "`HOST:PORT` to listen on (default: this rank's address)")
	flags.BoolVar(&f.tls, "tls", false, "mutual TLS between the processes on this machine, with certificates made for it")
	flags.BoolVar(&f.json, "json", false, "print one JSON object per ring")
	f.trust.addForPeople(cmd)
	flags.BoolVar(&f.member, "member", false, "")
	_ = flags.MarkHidden("member")
	return cmd
}

func (f *ringFlags) run(cmd *cobra.Command, addresses []string) error {
	if err := f.check(len(addresses)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	switch {
	case f.member:
		return f.runMember(ctx, os.Stdin, cmd.OutOrStdout())
	case len(addresses) > 0:
		return f.runHost(ctx, cmd, addresses)
	}
	for _, n := range f.nodes {
		r, err := f.local(ctx, n)
		if err != nil {
			return err
		}
		if err := f.print(cmd, n, r, f.tls); err != nil {
			return err
		}
	}
	return nil
}

// check completes the seat and the trial, as far as flags say what they are.
func (f *ringFlags) check(addresses int) error {
	op, err := collective.ParseOp(f.op)
	if err != nil {
		return usageError("--op: %w", err)
	}
	transport, err := agent.ParseTransport(f.transport)
	if err != nil {
		return usageError("--transport: %w", err)
	}
	f.trial = collective.Trial{Elements: int(f.bytes / 4), Repeat: f.rounds, Op: op, CPU: cpuSeconds}
	f.seat = ringbench.Seat{Direct: transport == agent.TCP, Wait: time.Minute, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	switch {
	case f.bytes < 4 || f.bytes%4 != 0:
		return usageError("--bytes %d: a tensor has a multiple of 4 bytes, and at least one element", f.bytes)
	case f.rounds < 1:
		return usageError("--rounds %d: at least one is needed", f.rounds)
	case addresses > 0 && f.tls:
		return usageError("--tls makes certificates for processes on this machine: between hosts give --tls-ca, --tls-cert and --tls-key")
	case addresses == 1:
		return usageError("a ring has at least two addresses, and one came")
	case addresses > 0 && (f.rank < 0 || f.rank >= addresses):
		return usageError("--rank %d: say which of the %d addresses this process is, 0 to %d", f.rank, addresses, addresses-1)
	}
	for _, n := range f.nodes {
		if n < 2 || n > maxRingProcesses {
			return usageError("--nodes %d: a ring on this machine has 2 to %d processes", n, maxRingProcesses)
		}
	}
	return nil
}

// maxRingProcesses bounds what is started here.
const maxRingProcesses = 64

// runHost is one rank among hosts.
func (f *ringFlags) runHost(ctx context.Context, cmd *cobra.Command, addresses []string) (err error) {
	if f.seat.Trust, err = f.trust.load("ring"); err != nil {
		return err
	}
	f.seat.Rank = f.rank
	for _, a := range addresses {
		m, err := parseRingMember(a)
		if err != nil {
			return err
		}
		if err := f.seat.Trust.CheckAddress("address", m.Address, f.trust.insecure); err != nil {
			return usageError("%w", err)
		}
		f.seat.Members = append(f.seat.Members, m)
	}
	if f.listen == "" {
		f.listen = f.seat.Members[f.rank].Address
	}
	lis, err := net.Listen("tcp", f.listen)
	if err != nil {
		return usageError("cannot listen on %s: %w", f.listen, err)
	}
	r, err := f.seat.Measure(ctx, lis, f.trial)
	if err != nil || f.rank > 0 {
		return err
	}
	return f.print(cmd, len(addresses), r, f.seat.Trust.Secure())
}

func parseRingMember(text string) (collective.Member, error) {
	name, address, named := strings.Cut(text, "=")
	if !named {
		address = text
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return collective.Member{}, usageError("%q is not [NAME=]HOST:PORT", text)
	}
	if !named {
		name = host
	}
	return collective.Member{Name: name, Host: host, Address: address}, nil
}

// ringReport is a line of --json.
type ringReport struct {
	Ranks     int          `json:"ranks"`
	Transport string       `json:"transport"`
	TLS       bool         `json:"tls"`
	Op        string       `json:"op"`
	Bytes     int64        `json:"bytes"`
	Rounds    int          `json:"rounds"`
	AllReduce ringRate     `json:"all_reduce"`
	OneWay    ringRate     `json:"one_way"`
	Fetch     ringRate     `json:"fetch"`
	Share     bench.Spread `json:"fetch_of_one_way"`
	Version   string       `json:"version"`
}

type ringRate struct {
	Seconds  bench.Spread `json:"seconds"`
	AlgGBps  float64      `json:"algorithm_gb_per_s"`
	BusGBps  float64      `json:"bus_gb_per_s"`
	CPUPerGB float64      `json:"cpu_s_per_gb"`
}

func rateOf(m *collective.Measurement) ringRate {
	return ringRate{bench.SpreadOf(m.Seconds), m.AlgGBps, m.BusGBps, m.CPUPerGB}
}

func (f *ringFlags) print(cmd *cobra.Command, n int, r ringbench.Result, tls bool) error {
	report := ringReport{n, f.transport, tls, f.op, r.AllReduce.Bytes, f.rounds, rateOf(r.AllReduce), rateOf(r.OneWay), rateOf(r.Fetch),
		bench.SpreadOf(r.Shares()), version.String()}
	out := cmd.OutOrStdout()
	if f.json {
		return encodeLine(out, report)
	}
	secured := ""
	if tls {
		secured = " with TLS"
	}
	_, err := fmt.Fprintf(out, "%d ranks, %s%s, %s of %.1f MB, %s\n", n, f.transport, secured, f.op, float64(report.Bytes)/1e6, count(f.rounds, "round"))
	if err == nil {
		err = printRate(out, "all-reduce", report.AllReduce)
	}
	if err == nil {
		err = printRate(out, "one way", report.OneWay)
	}
	if err == nil {
		err = printRate(out, "fetch", report.Fetch)
	}
	if err == nil {
		_, err = fmt.Fprintf(out, "  the fetch has %.2f (%.2f to %.2f) of the rate one way, round by round\n", report.Share.Median, report.Share.Min, report.Share.Max)
	}
	return err
}

func printRate(out io.Writer, what string, r ringRate) error {
	_, err := fmt.Fprintf(out, "  %-10s  %10v (%v to %v)  algorithm %.3f GB/s  bus %.3f GB/s  %.3f CPU s/GB\n", what,
		duration(r.Seconds.Median), duration(r.Seconds.Min), duration(r.Seconds.Max), r.AlgGBps, r.BusGBps, r.CPUPerGB)
	return err
}
