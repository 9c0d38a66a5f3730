package crc32c

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// Sums are hash/crc32's, at lengths around a block and beyond, wherever data begins.
func TestUpdate(t *testing.T) {
	data := noise(40 * block)
	for _, n := range []int{0, 1, block - 1, block, block + 1, 2*block - 1, 2 * block, worthwhile - 1, worthwhile, worthwhile + 1, 37*block + 100} {
		for _, at := range []int{0, 1, 8, 63} {
			for _, sum := range []uint32{0, 1, ^uint32(0), 0x12345678} {
				data := data[at : at+n]
				want := crc32.Update(sum, table, data)
				if got := Update(sum, data); got != want {
					t.Errorf("%d bytes from %d behind %08x have the sum %08x, want %08x", n, at, sum, got, want)
				}
				if n < block || !canFold {
					continue
				}
				if got := folded(sum, data); got != want {
					t.Errorf("%d bytes from %d behind %08x fold to the sum %08x, want %08x", n, at, sum, got, want)
				}
			}
		}
	}
}

func FuzzChecksum(f *testing.F) {
	f.Add([]byte("123456789"), uint16(1000))
	f.Fuzz(func(t *testing.T, data []byte, times uint16) {
		var long []byte
		for range min(int(times), 1<<20/max(len(data), 1)) {
			long = append(long, data...)
		}
		if got, want := Checksum(long), crc32.Checksum(long, table); got != want {
			t.Errorf("%d times %x have the sum %08x, want %08x", times, data, got, want)
		}
	})
}

func BenchmarkChecksum(b *testing.B) {
	data := noise(256 << 10) // in L2
	for name, sum := range map[string]func([]byte) uint32{
		"ours": Checksum, "hash/crc32": func(p []byte) uint32 { return crc32.Checksum(p, table) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				sum(data)
			}
		})
	}
}
