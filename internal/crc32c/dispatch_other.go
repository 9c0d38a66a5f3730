//go:build !amd64

package crc32c

const canFold = false

func fold(*[block]byte, []byte, *[2]uint64) {
	panic("crc32c: there is no assembly for this architecture")
}
