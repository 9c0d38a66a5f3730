package parquet

import (
	"encoding/binary"
	"errors"
)

// The kinds of Thrift's compact protocol that Parquet's metadata has.
const (
	kindStop = iota
	kindTrue
	kindFalse
	kindByte
	kindI16
	kindI32
	kindI64
	kindDouble
	kindBinary
	kindList
	kindSet
	kindMap
	kindStruct
)

// maxDepth is how deep structures may lie in each other: Parquet's do five deep.
const maxDepth = 16

var errDamaged = errors.New("its metadata is damaged")

// compact reads Thrift's compact protocol. It allocates nothing but what it
// returns; after the first error all that it reads is zero.
type compact struct {
	data []byte // what is left
	err  error
}

// take is the next n bytes.
func (c *compact) take(n uint64) []byte {
	if c.err != nil || n > uint64(len(c.data)) {
		c.fail()
		return nil
	}
	taken := c.data[:n]
	c.data = c.data[n:]
	return taken
}

func (c *compact) fail() {
	if c.err == nil {
		c.err = errDamaged
	}
	c.data = nil
}

func (c *compact) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *compact) unsigned() uint64 {
	x, n := binary.Uvarint(c.data)
	if c.err != nil || n <= 0 {
		c.fail()
		return 0
	}
	c.data = c.data[n:]
	return x
}

func (c *compact) signed() int64 {
	x := c.unsigned()
	return int64(x>>1) ^ -int64(x&1)
}

func (c *compact) text() string { return string(c.take(c.unsigned())) }

// number reads a field that is to be an integer.
func (c *compact) number(kind byte) int64 {
	if kind != kindI16 && kind != kindI32 && kind != kindI64 {
		c.fail()
	}
	return c.signed()
}

// list reads the head of a list and has each element read. There are no more
// elements than bytes.
func (c *compact) list(depth int, read func(kind byte)) {
	head := c.byte()
	n := uint64(head >> 4)
	if n == 15 {
		n = c.unsigned()
	}
	if n > uint64(len(c.data)) || depth > maxDepth {
		c.fail()
	}
	for i := uint64(0); i < n && c.err == nil; i++ {
		read(head & 15)
	}
}

// fields reads a structure: known has those read that it knows, and the others are
// passed over.
func (c *compact) fields(depth int, known func(id int64, kind byte) bool) {
	if depth > maxDepth {
		c.fail()
	}
	id := int64(0)
	for c.err == nil {
		head := c.byte()
		kind := head & 15
		if kind == kindStop {
			return
		}
		if delta := int64(head >> 4); delta != 0 {
			id += delta
		} else {
			id = c.signed()
		}
		if !known(id, kind) {
			c.skip(kind, depth)
		}
	}
}

// skip passes over a field's value.
func (c *compact) skip(kind byte, depth int) {
	switch kind {
	case kindTrue, kindFalse:
	case kindByte:
		c.byte()
	case kindI16, kindI32, kindI64:
		c.unsigned()
	case kindDouble:
		c.take(8)
	case kindBinary:
		c.take(c.unsigned())
	case kindList, kindSet:
		c.list(depth+1, func(kind byte) {
			if kind == kindTrue || kind == kindFalse {
				c.byte() // an element has no other place for its value
				return
			}
			c.skip(kind, depth+1)
		})
	case kindStruct:
		c.fields(depth+1, func(int64, byte) bool { return false })
	default:
		c.fail()
	}
}
