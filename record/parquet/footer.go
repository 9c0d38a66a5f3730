package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	magic     = "PAR1"
	maxFooter = 1 << 20
	// freeRows and freeText are how many rows, and bytes in pages, a file may have
	// however small it is; beyond them it has at most one row, and textPerByte bytes,
	// for each of its own bytes. A ledger's rows take more.
	freeRows    = 1 << 16
	freeText    = 64 << 20
	textPerByte = 256
)

// Numbers of the format (Apache Parquet, parquet.thrift).
const (
	typeInt64     = 2
	typeDouble    = 5
	typeByteArray = 6
	codecZstd     = 6
)

// group is a row group's chunks.
type group struct {
	rows   int64
	chunks []chunk
}

// chunk is where a column's values of a row group are.
type chunk struct {
	column string
	kind   int64 // one of the types above
	codec  int64
	values int64
	offset int64 // of its first page
	size   int64 // of its pages, with their headers
}

// readFooter reads where everything is in a file of so many bytes, and holds it
// against what there is.
func readFooter(file io.ReaderAt, size int64) ([]group, error) {
	var end [8]byte
	if size < int64(len(magic)+len(end)) {
		return nil, fmt.Errorf("its %d bytes are no Parquet file", size)
	}
	if _, err := file.ReadAt(end[:], size-int64(len(end))); err != nil {
		return nil, err
	}
	length := int64(binary.LittleEndian.Uint32(end[:]))
	switch {
	case string(end[4:]) != magic:
		return nil, fmt.Errorf("it does not end as a Parquet file does: it is another file, or cut off")
	case length > maxFooter || length > size-int64(len(magic)+len(end)):
		return nil, fmt.Errorf("its metadata would be %d bytes of %d: at most %d are read", length, size, maxFooter)
	}
	footer := make([]byte, length)
	body := size - int64(len(end)) - length
	if _, err := file.ReadAt(footer, body); err != nil {
		return nil, err
	}
	c := compact{data: footer}
	var groups []group
	c.fields(0, func(id int64, kind byte) bool {
		if id != 4 || kind != kindList {
			return false
		}
		c.list(0, func(kind byte) { groups = append(groups, c.group(kind)) })
		return true
	})
	if c.err != nil {
		return nil, c.err
	}
	return groups, checkGroups(groups, body, size)
}

func (c *compact) group(kind byte) (g group) {
	if kind != kindStruct {
		c.fail()
	}
	c.fields(1, func(id int64, kind byte) bool {
		switch {
		case id == 1 && kind == kindList:
			c.list(1, func(kind byte) { g.chunks = append(g.chunks, c.chunk(kind)) })
		case id == 3:
			g.rows = c.number(kind)
		default:
			return false
		}
		return true
	})
	return g
}

func (c *compact) chunk(kind byte) (k chunk) {
	if kind != kindStruct {
		c.fail()
	}
	c.fields(2, func(id int64, kind byte) bool {
		if id != 3 || kind != kindStruct {
			return false
		}
		c.fields(3, func(id int64, kind byte) bool { return c.chunkField(&k, id, kind) })
		return true
	})
	return k
}

// chunkField reads a field of a column's metadata.
func (c *compact) chunkField(k *chunk, id int64, kind byte) bool {
	switch {
	case id == 3 && kind == kindList:
		c.list(4, func(kind byte) {
			if kind != kindBinary || k.column != "" {
				c.fail() // a path, not a column of a table
			}
			k.column = c.text()
		})
	case id == 1:
		k.kind = c.number(kind)
	case id == 4:
		k.codec = c.number(kind)
	case id == 5:
		k.values = c.number(kind)
	case id == 7:
		k.size = c.number(kind)
	case id == 9:
		k.offset = c.number(kind)
	default:
		return false
	}
	return true
}

// checkGroups says whether all that is told lies in the file's body, does not
// overlap more than there is, and is not more rows than a ledger would have there.
func checkGroups(groups []group, body, size int64) error {
	rows, bytes := int64(0), int64(0)
	for _, g := range groups {
		if g.rows < 0 || g.rows > size+freeRows-rows {
			return fmt.Errorf("it tells of %d rows or more in %d bytes: that is no export of a ledger", g.rows, size)
		}
		rows += g.rows
		for _, k := range g.chunks {
			if k.offset < int64(len(magic)) || k.offset > body || k.size < 0 || k.size > body-k.offset || k.size > body-bytes {
				return fmt.Errorf("column %.40q would be %d bytes at %d of %d", k.column, k.size, k.offset, body)
			}
			if k.values != g.rows {
				return fmt.Errorf("column %.40q has %d values in %d rows", k.column, k.values, g.rows)
			}
			bytes += k.size
		}
	}
	return nil
}
