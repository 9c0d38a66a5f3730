package kernels

import (
	"errors"
	"slices"
	"testing"
)

func TestParseDevice(t *testing.T) {
	for device, want := range map[string]struct {
		kind  string
		index int
	}{
		"cpu":     {"cpu", 0},
		"cuda":    {"cuda", 0},
		"cuda:0":  {"cuda", 0},
		"cuda:17": {"cuda", 17},
	} {
		kind, index, err := ParseDevice(device)
		if err != nil || kind != want.kind || index != want.index {
			t.Errorf("ParseDevice(%q) = %q, %d, %v, want %q, %d", device, kind, index, err, want.kind, want.index)
		}
	}
	for _, device := range []string{"", ":", ":1", "cuda:", "cuda:-1", "cuda:+1", "cuda:01", "cuda:1x", "cuda:1:2", "cuda: 1", "cuda:99999999999999999999"} {
		if kind, index, err := ParseDevice(device); err == nil {
			t.Errorf("ParseDevice(%q) = %q, %d, want an error", device, kind, index)
		}
	}
}

func TestRegistry(t *testing.T) {
	var gotIndex int
	var gotOptions Options
	refused := errors.New("device is busy")
	Register("test-device", func(index int, opt Options) (Backend, error) {
		gotIndex, gotOptions = index, opt
		return nil, refused
	})
	Register("another-test-device", nil)
	if kinds := Kinds(); !slices.IsSorted(kinds) || !slices.Contains(kinds, "test-device") {
		t.Errorf("Kinds() = %v, want a sorted list with test-device", kinds)
	}
	if _, err := Open("test-device:2", Options{Threads: 3}); err != refused || gotIndex != 2 || gotOptions.Threads != 3 {
		t.Errorf("Open: %v, index %d, options %+v", err, gotIndex, gotOptions)
	}
	wantPanic(t, "kernels: backend test-device registered twice", func() { Register("test-device", nil) })
}

func TestOpenUnknownDevice(t *testing.T) {
	for device, want := range map[string]string{
		"abacus": `unknown device "abacus": this binary has `,
		"cuda:1": "build with -tags cuda for NVIDIA GPUs",
		"cpu:x":  `device "cpu:x": want a kind and an index, like cpu or cuda:0`,
	} {
		_, err := Open(device, Options{})
		wantError(t, err, want)
	}
}
