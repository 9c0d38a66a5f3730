package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"parallax/internal/doctor"
	"parallax/shard/corpus"
)

// doctorFlags say what is examined.
type doctorFlags struct {
	deviceFlags
	trust       trustFlags
	cache       string
	coordinator string
	json        bool
}

func doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this host: device, cache, and the links to a cluster",
		Long: `doctor looks at what the device needs on this host (a GPU's driver and libraries, their
versions and places), opens the device and measures it, looks whether the cache can be written, and,
with --coordinator, opens a connection to the coordinator and to every member of its
ring from here. The exit code is 1 if anything is not well.`,
		Example: "  parallax doctor\n  parallax doctor --device cuda:0\n  parallax doctor --coordinator 10.0.0.1:7070 --insecure",
		Args:    exactly(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.trust.addForPeople(cmd)
	f.deviceFlags.add(cmd.Flags(), "to examine")
	addCache(cmd.Flags(), &f.cache)
	cmd.Flags().StringVar(&f.coordinator, "coordinator", "", "`HOST:PORT` of a coordinator, to examine the links of its ring too")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object per finding")
	return cmd
}

func (f *doctorFlags) run(cmd *cobra.Command) error {
	findings, err := f.examine(cmd)
	if err != nil {
		return err
	}
	failed := 0
	for _, finding := range findings {
		if !finding.Well {
			failed++
		}
		if err := f.print(cmd, finding); err != nil {
			return err
		}
	}
	if failed > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of %d findings are not well", failed, len(findings))}
	}
	return nil
}

func (f *doctorFlags) examine(cmd *cobra.Command) (findings []doctor.Finding, err error) {
	cache := f.cache
	if cache == "" {
		if cache, err = corpus.DefaultCacheDir(); err != nil {
			return nil, err
		}
	}
	findings = append(doctor.Toolkit(f.device), doctor.Device(f.device, f.threads), doctor.Cache(cache))
	if f.coordinator == "" {
		return findings, nil
	}
	link := doctor.Link(cmd.Context(), "coordinator", f.coordinator)
	findings = append(findings, link)
	if !link.Well {
		return findings, nil
	}
	client, hangUp, err := f.trust.dial(cmd, f.coordinator)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	return append(findings, doctor.Ring(cmd.Context(), client)...), nil
}

func (f *doctorFlags) print(cmd *cobra.Command, finding doctor.Finding) error {
	out := cmd.OutOrStdout()
	if f.json {
		return json.NewEncoder(out).Encode(map[string]any{"what": finding.What, "well": finding.Well, "detail": finding.Detail, "next": finding.Next})
	}
	mark, next := "ok  ", ""
	if !finding.Well {
		mark, next = "FAIL", "\n      "+finding.Next
	}
	_, err := fmt.Fprintf(out, "%s  %s: %s%s\n", mark, finding.What, finding.Detail, next)
	return err
}
