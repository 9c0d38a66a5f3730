package kernels

import (
	"fmt"
	"strings"
)

// Options are what a user may say about a device beyond its name.
type Options struct {
	Threads int // host threads; 0: all that the process may use
}

// Opener opens device index of one kind.
type Opener func(index int, opt Options) (Backend, error)

var openers kinds[Opener]

// Register makes a kind of device known, under the name before the colon in
// "cuda:0". Backends call it from init.
func Register(kind string, open Opener) { openers.add(kind, "backend", open) }

// Kinds lists the registered kinds of device, sorted.
func Kinds() []string { return openers.names() }

// Open opens a device by name: "cpu", "cuda", "cuda:1".
func Open(device string, opt Options) (Backend, error) {
	open, index, err := find(device)
	if err != nil {
		return nil, err
	}
	return open(index, opt)
}

// Check says why a device cannot be one of this binary, by its name alone.
func Check(device string) error {
	_, _, err := find(device)
	return err
}

func find(device string) (open Opener, index int, err error) {
	kind, index, err := ParseDevice(device)
	if err != nil {
		return nil, 0, err
	}
	open, known := openers.get(kind)
	if known {
		return open, index, nil
	}
	hint := ""
	if kind == "cuda" {
		hint = "; build with -tags cuda for NVIDIA GPUs"
	}
	return nil, 0, fmt.Errorf("unknown device %q: this binary has %s%s", device, strings.Join(Kinds(), ", "), hint)
}

// ParseDevice splits "cuda:1" into its kind and index; the index defaults to 0.
func ParseDevice(device string) (kind string, index int, err error) {
	kind, rest, found := strings.Cut(device, ":")
	if found {
		n, scanErr := fmt.Sscanf(rest, "%d", &index)
		if scanErr != nil || n != 1 || index < 0 || fmt.Sprint(index) != rest {
			return "", 0, fmt.Errorf("device %q: want a kind and an index, like cpu or cuda:0", device)
		}
	}
	if kind == "" {
		return "", 0, fmt.Errorf("device %q: want a kind and an index, like cpu or cuda:0", device)
	}
	return kind, index, nil
}
