package cli

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// byteSize is a flag's number of bytes: 8000000, 8e6, 8MB or, in powers of 1024, 8MiB.
type byteSize int64

// byteUnits are looked for in turn, so that each comes before those that end it.
var byteUnits = []struct {
	suffix string
	bytes  float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"b", 1}, {"", 1},
}

// Set implements pflag.Value.
func (b *byteSize) Set(text string) error {
	for _, u := range byteUnits {
		number, fits := strings.CutSuffix(strings.ToLower(text), u.suffix)
		if !fits {
			continue
		}
		x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		x *= u.bytes
		if err != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
			break
		}
		*b = byteSize(x)
		return nil
	}
	return errors.New("give a whole number of bytes, such as 8000000, 8e6, 8MB or 8MiB")
}

// String implements pflag.Value.
func (b *byteSize) String() string { return strconv.FormatInt(int64(*b), 10) }

// Type implements pflag.Value; help shows it.
func (b *byteSize) Type() string { return "size" }
