// Package crc32c is the CRC-32C of hash/crc32, at twice its speed where the processor
// has carry-less products of 512 bits.
//
// Bytes are the coefficients of a polynomial, and a sum is its remainder. Bytes that
// lie n bits before others count x^n times as much, so a block can be added to the
// next one after a multiplication by x^n modulo the sum's polynomial; the remainder of
// the one block that is left is the remainder of all. The assembly folds so (generated
// from _asm), and hash/crc32 sums what is left.
package crc32c

import (
	"encoding/binary"
	"hash/crc32"
)

//go:generate go run -C _asm .

var table = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the sum of data.
func Checksum(data []byte) uint32 { return Update(0, data) }

// Update is the sum of what has sum, and data behind it.
func Update(sum uint32, data []byte) uint32 {
	if !canFold || len(data) < worthwhile {
		return crc32.Update(sum, table, data)
	}
	return folded(sum, data)
}

const (
	block      = 256 // bytes
	worthwhile = 16 * block
)

// by are what the two words of 128 bits are multiplied by to be added a block further
// on: x^(8*block+64), since the first lies 64 bits before the second, and x^(8*block).
// As the order of bits is reversed, 32 of them in a word of 64 stand for x^32 times
// themselves, and a carry-less product for x times itself, which the shift takes back.
var by = [2]uint64{power(8*block+32) << 1, power(8*block-32) << 1}

// power is x^n modulo the sum's polynomial, bits reversed.
func power(n int) uint64 {
	p := uint32(1) << 31 // 1
	for range n {
		carry := p & 1
		p = p>>1 ^ carry*crc32.Castagnoli
	}
	return uint64(p)
}

// folded is Update of a block at least. A sum is inverted before and after, so that
// behind ^0 hash/crc32 leaves the remainder as it is.
func folded(sum uint32, data []byte) uint32 {
	rest := [block]byte(data)
	binary.LittleEndian.PutUint32(rest[:], binary.LittleEndian.Uint32(rest[:])^^sum)
	data = data[block:]
	whole := len(data) - len(data)%block
	fold(&rest, data[:whole], &by)
	return crc32.Update(crc32.Update(^uint32(0), table, rest[:]), table, data[whole:])
}
