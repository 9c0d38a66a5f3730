package cli

import "testing"

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{
		"100000000": 100_000_000, "8e6": 8_000_000, "8MB": 8_000_000, "8 mb": 8_000_000, "8MiB": 8 << 20,
		"1.5kB": 1500, "0.5KiB": 512, "2GB": 2_000_000_000, "1GiB": 1 << 30, "12B": 12, "-4": -4,
	} {
		var got byteSize
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MB", "8TB", "8MBit", "1.5", "nan", "inf", "1e300", "9e15GB"} {
		got := byteSize(7)
		if err := got.Set(text); err == nil || got != 7 {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}
