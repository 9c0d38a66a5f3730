package doctor

import "parallax/kernels"

// Toolkit looks at what a device needs on its host: driver, libraries. A device that
// needs nothing has no findings.
func Toolkit(device string) (findings []Finding) {
	t, err := kernels.ToolkitOf(device)
	if err != nil {
		return nil
	}
	for _, p := range t.Examine() {
		switch {
		case p.Err == nil:
			findings = append(findings, well(p.Name, "%s", p.Detail))
		case p.Next == "":
			findings = append(findings, well(p.Name, "none: %v", p.Err))
		default:
			findings = append(findings, ill(p.Name, p.Err, p.Next))
		}
	}
	return findings
}

// Device opens a device and measures its peak.
func Device(name string, threads int) Finding {
	what := "device " + name
	be, err := kernels.Open(name, kernels.Options{Threads: threads})
	if err != nil {
		return ill(what, err, "choose another with --device")
	}
	defer be.Close()
	p, can := be.(kernels.Peaker)
	if !can {
		return well(what, "%s", be.Info().Summary)
	}
	peak, err := p.Peak()
	if err != nil {
		return ill(what, err, "free memory on the device, or choose another")
	}
	return well(what, "%s, at most %.0f GFLOP/s in matrix products and %.1f GB/s of memory, measured now",
		be.Info().Summary, peak.FLOPS/1e9, peak.Bandwidth/1e9)
}
