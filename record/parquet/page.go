package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxPage bounds a page, packed and unpacked: the exporter's are a quarter of a
	// MiB, or as long as one text.
	maxPage       = 32 << 20
	maxPageHeader = 1 << 16

	pageV2              = 3
	encodingPlain       = 0
	encodingDeltaLength = 6
)

var errPage = errors.New("a page is damaged")

// pageHeader is a data page of version 2.
type pageHeader struct {
	kind, unpacked, packed           int64
	values, nulls, rows, encoding    int64
	definitionLevels, repetitionLeft int64
	plain                            bool // not compressed
}

func (c *compact) pageHeader() (h pageHeader) {
	c.fields(0, func(id int64, kind byte) bool {
		switch {
		case id == 1:
			h.kind = c.number(kind)
		case id == 2:
			h.unpacked = c.number(kind)
		case id == 3:
			h.packed = c.number(kind)
		case id == 8 && kind == kindStruct:
			c.fields(1, func(id int64, kind byte) bool { return c.pageField(&h, id, kind) })
		default:
			return false
		}
		return true
	})
	return h
}

func (c *compact) pageField(h *pageHeader, id int64, kind byte) bool {
	into := []*int64{1: &h.values, 2: &h.nulls, 3: &h.rows, 4: &h.encoding, 5: &h.definitionLevels, 6: &h.repetitionLeft}
	switch {
	case id >= 1 && id < int64(len(into)):
		*into[id] = c.number(kind)
	case id == 7:
		h.plain = kind == kindFalse
	default:
		return false
	}
	return true
}

// check holds a header against the rows and bytes that are left of its chunk.
func (h pageHeader) check(rows, bytes int64) error {
	switch {
	case h.kind != pageV2 || h.encoding != encodingPlain && h.encoding != encodingDeltaLength:
		return fmt.Errorf("a page is of kind %d with encoding %d, which no export of a ledger has", h.kind, h.encoding)
	case h.packed < 0 || h.packed > bytes || h.packed > maxPage || h.unpacked < 0 || h.unpacked > maxPage:
		return fmt.Errorf("a page would be %d bytes, unpacked %d: %d are left, and at most %d are read", h.packed, h.unpacked, bytes, maxPage)
	case h.values < 1 || h.values > rows || h.nulls < 0 || h.nulls > h.values || h.rows != h.values,
		h.repetitionLeft != 0 || h.definitionLevels < 0 || h.definitionLevels > h.packed || h.definitionLevels > h.unpacked:
		return errPage
	}
	return nil
}

// pages reads the pages of a chunk one after the other.
type pages struct {
	file   io.ReaderAt
	unpack *zstd.Decoder
	text   *int64 // bytes that the pages of the file may still have
}

// newDecoder unpacks pages, and nothing that is larger.
func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage))
}

// read hands over all values of a chunk in order: an int64, a float64 or a string,
// and nil for a null.
func (p pages) read(k chunk, optional bool, value func(any) error) error {
	if k.codec != codecZstd {
		return fmt.Errorf("column %s has codec %d, which no export of a ledger has", k.column, k.codec)
	}
	at, left, rows := k.offset, k.size, k.values
	room := make([]byte, min(left, maxPageHeader))
	for left > 0 {
		head := room[:min(left, maxPageHeader)]
		if _, err := p.file.ReadAt(head, at); err != nil {
			return err
		}
		c := compact{data: head}
		h := c.pageHeader()
		if c.err != nil {
			return c.err
		}
		begins := int64(len(head) - len(c.data))
		if err := h.check(rows, left-begins); err != nil {
			return err
		}
		if err := p.readPage(at+begins, h, k.kind, optional, value); err != nil {
			return err
		}
		at, left, rows = at+begins+h.packed, left-begins-h.packed, rows-h.values
	}
	if rows != 0 {
		return fmt.Errorf("column %s ends %d values early", k.column, rows)
	}
	return nil
}

func (p pages) readPage(at int64, h pageHeader, kind int64, optional bool, value func(any) error) error {
	if *p.text -= h.unpacked; *p.text < 0 {
		return errors.New("its pages hold far more than a ledger would have in so small a file")
	}
	packed := make([]byte, h.packed)
	if _, err := p.file.ReadAt(packed, at); err != nil {
		return err
	}
	levels, data := packed[:h.definitionLevels], packed[h.definitionLevels:]
	if !h.plain {
		var err error
		if data, err = p.unpack.DecodeAll(data, nil); err != nil {
			return fmt.Errorf("a page cannot be unpacked: %w", err)
		}
	}
	if int64(len(data)) != h.unpacked-h.definitionLevels {
		return errPage
	}
	present, err := presence(levels, h, optional)
	if err != nil {
		return err
	}
	next, err := values(data, h, kind)
	if err != nil {
		return err
	}
	for _, there := range present {
		var v any
		if there {
			v = next()
		}
		if err := value(v); err != nil {
			return err
		}
	}
	return nil
}

// presence says of each value whether it is there: runs of levels of one bit (the
// format's "RLE / bit-packing hybrid"). A column that must have all has no levels.
func presence(levels []byte, h pageHeader, optional bool) ([]bool, error) {
	present := make([]bool, 0, h.values)
	if !optional {
		for range h.values {
			present = append(present, true)
		}
		if h.nulls != 0 || len(levels) != 0 {
			return nil, errPage
		}
		return present, nil
	}
	c, nulls := compact{data: levels}, int64(0)
	for int64(len(present)) < h.values {
		head := c.unsigned()
		n := uint64(h.values) - uint64(len(present)) // that are wanted
		packed, bits := head&1 == 1, []byte(nil)
		if packed {
			bits = c.take(head >> 1)
			n = min(n, 8*uint64(len(bits)))
		} else {
			bits = c.take(1)
			n = min(n, head>>1)
		}
		if c.err != nil || n == 0 {
			return nil, errPage
		}
		for i := range n {
			there := bits[0] != 0
			if packed {
				there = bits[i/8]>>(i%8)&1 == 1
			}
			if !there {
				nulls++
			}
			present = append(present, there)
		}
	}
	if nulls != h.nulls {
		return nil, errPage
	}
	return present, nil
}

// values is a function that returns the page's values that are there, one after the
// other.
func values(data []byte, h pageHeader, kind int64) (next func() any, err error) {
	n := int(h.values - h.nulls)
	if (kind == typeByteArray) != (h.encoding == encodingDeltaLength) {
		return nil, errPage
	}
	if kind != typeByteArray {
		if len(data) != 8*n {
			return nil, errPage
		}
		return func() any {
			bits := binary.LittleEndian.Uint64(data)
			data = data[8:]
			if kind == typeDouble {
				return math.Float64frombits(bits)
			}
			return int64(bits)
		}, nil
	}
	lengths, texts, err := deltas(data, n)
	if err != nil {
		return nil, err
	}
	sum := int64(0)
	for _, l := range lengths {
		if sum += l; l < 0 || sum > int64(len(texts)) {
			return nil, errPage
		}
	}
	return func() any {
		text := string(texts[:lengths[0]])
		texts, lengths = texts[lengths[0]:], lengths[1:]
		return text
	}, nil
}
