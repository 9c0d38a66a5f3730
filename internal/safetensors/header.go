package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// maxHeader is the longest header accepted, in bytes; the reference
// implementation has the same limit.
const maxHeader = 100_000_000

const metadataKey = "__metadata__"

type header struct {
	tensors  []Tensor // in the order of their data
	metadata map[string]string
}

// parseHeader reads the JSON of a file with dataSize bytes of tensors.
func parseHeader(text []byte, dataSize int64) (*header, error) {
	if !utf8.Valid(text) || len(text) == 0 || text[0] != '{' {
		return nil, errors.New("the header is no JSON object in UTF-8")
	}
	h := &header{}
	dec := json.NewDecoder(bytes.NewReader(text))
	seen := map[string]bool{}
	err := eachMember(dec, func(name string) error {
		if seen[name] {
			return fmt.Errorf("the header names %.80q twice", name)
		}
		seen[name] = true
		return h.member(dec, name)
	})
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("the header goes on after its JSON object")
	}
	return h, h.checkPlaces(dataSize)
}

// eachMember walks a JSON object; visit must consume the member's value.
func eachMember(dec *json.Decoder, visit func(name string) error) error {
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("the header is no JSON object: %w", orUnexpected(err))
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return fmt.Errorf("the header is no JSON: %w", orUnexpected(err))
		}
		if err := visit(t.(string)); err != nil { // inside an object, a key is always a string
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("the header is no JSON: %w", orUnexpected(err))
	}
	return nil
}

func orUnexpected(err error) error {
	if err == nil {
		return errors.New("unexpected value")
	}
	return err
}

func (h *header) member(dec *json.Decoder, name string) error {
	if name == metadataKey {
		return h.readMetadata(dec)
	}
	t := Tensor{Name: name}
	if err := t.read(dec); err != nil {
		return fmt.Errorf("tensor %.80q: %w", name, err)
	}
	h.tensors = append(h.tensors, t)
	return nil
}

func (h *header) readMetadata(dec *json.Decoder) error {
	h.metadata = map[string]string{}
	return eachMember(dec, func(name string) error {
		if _, twice := h.metadata[name]; twice {
			return fmt.Errorf("the metadata names %.80q twice", name)
		}
		var value *string
		if err := dec.Decode(&value); err != nil || value == nil {
			return fmt.Errorf("metadata %.80q is no string", name)
		}
		h.metadata[name] = *value
		return nil
	})
}

// read parses {"dtype": ..., "shape": [...], "data_offsets": [begin, end]} and
// checks the three against each other.
func (t *Tensor) read(dec *json.Decoder) error {
	var places []int64
	fields := map[string]any{"dtype": &t.DType, "shape": &t.Shape, "data_offsets": &places}
	err := eachMember(dec, func(name string) error {
		field, left := fields[name]
		if !left {
			return fmt.Errorf("field %.80q is unknown, or given twice", name)
		}
		delete(fields, name)
		if err := dec.Decode(field); err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(fields) > 0 || t.Shape == nil:
		return errors.New("it needs a dtype, a shape and data_offsets")
	case len(places) != 2 || places[0] < 0 || places[1] < places[0]:
		return fmt.Errorf("data_offsets %v are no range", places)
	}
	t.begin, t.end = places[0], places[1]
	size, err := bytesOf(t.DType, t.Shape)
	if err == nil && size != t.Bytes() {
		err = fmt.Errorf("%s of shape %v has %d bytes, but data_offsets span %d", t.DType, t.Shape, size, t.Bytes())
	}
	return err
}

// checkPlaces puts the tensors in the order of their data and wants each to
// begin where the one before ends, from the first byte to the last.
func (h *header) checkPlaces(dataSize int64) error {
	slices.SortStableFunc(h.tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := int64(0)
	for _, t := range h.tensors {
		if t.begin != at {
			return fmt.Errorf("tensor %.80q begins at byte %d of the data, want %d: tensors must not overlap or leave gaps", t.Name, t.begin, at)
		}
		at = t.end
	}
	if at != dataSize {
		return fmt.Errorf("the header describes %d bytes of data, the file has %d", at, dataSize)
	}
	return nil
}

// encode writes the header, padded with spaces so that the data behind it and
// the length before it begin at a multiple of 8.
func (h *header) encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	if len(h.metadata) > 0 {
		for name, value := range h.metadata {
			if !utf8.ValidString(name) || !utf8.ValidString(value) {
				return nil, fmt.Errorf("metadata %.80q is not UTF-8", name)
			}
		}
		if err := writeMember(&b, metadataKey, h.metadata); err != nil {
			return nil, err
		}
	}
	for _, t := range h.tensors {
		entry := struct {
			DType  DType    `json:"dtype"`
			Shape  []int    `json:"shape"`
			Places [2]int64 `json:"data_offsets"`
		}{t.DType, append([]int{}, t.Shape...), [2]int64{t.begin, t.end}}
		if err := writeMember(&b, t.Name, entry); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes is over the format's limit of %d", b.Len(), maxHeader)
	}
	return b.Bytes(), nil
}

func writeMember(b *bytes.Buffer, name string, value any) error {
	if !utf8.ValidString(name) {
		return fmt.Errorf("the name %.80q is not UTF-8", name)
	}
	if b.Len() > 1 {
		b.WriteByte(',')
	}
	for i, v := range []any{name, value} {
		if i == 1 {
			b.WriteByte(':')
		}
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		b.Write(text)
	}
	return nil
}
