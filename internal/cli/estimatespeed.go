package cli

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"time"

	"parallax/internal/estimate"
	"parallax/kernels"
	"parallax/record"
)

// speed is how long a step takes, by one way to know.
type speed struct {
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"flops_per_s"`
	Source  string  `json:"source"`
	Run     string  `json:"run,omitempty"` // that it was taken from
}

// speeds says how long a step takes at this host's rate in matrix products, and at
// the rate of a run like it; or why the ledger has none.
func (f *estimateFlags) speeds(e *estimate.Estimate, be kernels.Backend) (all []speed, noRecord string, err error) {
	rate, err := kernels.MatMulRate(be, time.Second/2)
	if err != nil {
		return nil, "", err
	}
	all = []speed{{Seconds: e.SecondsInProducts(rate), Rate: rate, Source: fmt.Sprintf("at least: matrix products on this %s, measured now", f.device)}}
	if _, err := os.Stat(f.ledger); err != nil {
		return all, "", nil
	}
	var paces []pace
	err = withLedger(f.ledger, func(l *record.Ledger) error {
		paces, err = pacesOn(l, be.Info().Summary)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	best, why := choosePace(paces, e.Parameters)
	if why != "" {
		return all, fmt.Sprintf("%s: %s", f.ledger, why), nil
	}
	return append(all, speed{
		Seconds: e.SecondsAtStepRate(best.rate), Rate: best.rate, Run: best.run.ID,
		Source: fmt.Sprintf("at the rate of whole steps of run %s: %s parameters on the same hardware", best.run.ID, size(best.run.Parameters)),
	}), "", nil
}

// pace is the model FLOP/s that a run has made on each of its hosts, over all its
// steps.
type pace struct {
	run  record.Run
	rate float64
}

// likeness is how many times smaller or larger a model may be whose rate is taken
// for another's: a large one reaches more of its device than a small one.
const likeness = 4

// choosePace is the best rate among the runs whose model is like one of so many
// parameters, or a sentence why there is none.
func choosePace(paces []pace, parameters int64) (best pace, why string) {
	apart := func(p pace) float64 { return math.Abs(math.Log(float64(p.run.Parameters) / float64(parameters))) }
	nearest := pace{}
	for _, p := range paces {
		if nearest.rate == 0 || apart(p) < apart(nearest) {
			nearest = p
		}
		if apart(p) <= math.Log(likeness) && p.rate > best.rate {
			best = p
		}
	}
	switch {
	case nearest.rate == 0:
		return best, "no run of it has made steps on this hardware"
	case best.rate == 0:
		return best, fmt.Sprintf("no run of it on this hardware has a model of about this size: the nearest, %s, has %s parameters, this one has %s",
			nearest.run.ID, size(nearest.run.Parameters), size(parameters))
	}
	return best, ""
}

// pacesOn are those of the runs that trained on hardware like this host's alone.
func pacesOn(l *record.Ledger, hardware string) (all []pace, err error) {
	runs, err := l.Runs()
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		rate, err := stepRate(l, r.ID, hardware)
		if err != nil {
			return nil, err
		}
		if rate > 0 && r.Parameters > 0 {
			all = append(all, pace{r, rate})
		}
	}
	return all, nil
}

// stepRate is a run's model FLOP/s per host; 0 if it was on other hardware, or has
// no steps.
func stepRate(l *record.Ledger, run, hardware string) (float64, error) {
	ranks, err := l.Ranks(run)
	if err != nil || len(ranks) == 0 {
		return 0, err
	}
	hosts := map[string]bool{}
	for _, r := range ranks {
		if kindOf(r.Hardware) != kindOf(hardware) {
			return 0, nil
		}
		hosts[r.Host] = true
	}
	flops, seconds := 0.0, 0.0
	err = l.EachStep(run, func(s record.Step) {
		flops += s.FLOPs
		seconds += s.Seconds
	})
	if err != nil || !(seconds > 0) {
		return 0, err
	}
	return flops / seconds / float64(len(hosts)), nil
}

// threadCount is how a CPU's summary ends: the nodes of a host share its threads.
var threadCount = regexp.MustCompile(`, \d+ threads?$`)

// kindOf is a device's summary without what differs between nodes of equal hosts.
func kindOf(summary string) string { return threadCount.ReplaceAllString(summary, "") }

// size writes a number of parameters.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.3g B", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.3g M", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.3g k", float64(n)/1e3)
	}
}
