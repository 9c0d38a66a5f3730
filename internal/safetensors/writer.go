package safetensors

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/google/renameio/v2"
)

// Writer streams tensors in the order in which they were declared.
type Writer struct {
	dst    io.Writer
	header *header
	next   int // the tensor to come
	piece  []byte
}

// NewWriter writes the header for tensors (Name, DType and Shape) whose data
// then follow by [Write], in this order.
func NewWriter(dst io.Writer, tensors []Tensor, metadata map[string]string) (*Writer, error) {
	h := &header{metadata: metadata}
	seen, at := map[string]bool{metadataKey: true}, int64(0)
	for _, t := range tensors {
		size, err := bytesOf(t.DType, t.Shape)
		if err != nil {
			return nil, fmt.Errorf("tensor %.80q: %w", t.Name, err)
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %.80q: the name is taken", t.Name)
		}
		if at > math.MaxInt64-size {
			return nil, fmt.Errorf("tensor %.80q: all tensors together are larger than any file", t.Name)
		}
		seen[t.Name] = true
		t.begin, t.end = at, at+size
		h.tensors = append(h.tensors, t)
		at = t.end
	}
	text, err := h.encode()
	if err != nil {
		return nil, err
	}
	w := &Writer{dst: dst, header: h, piece: make([]byte, 0, pieceBytes)}
	return w, w.put(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text)
}

func (w *Writer) put(parts ...[]byte) error {
	for _, p := range parts {
		if _, err := w.dst.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// Write writes the elements of the next tensor, whose dtype must be T's.
func Write[T Number](w *Writer, name string, data []T) error {
	t, err := w.take(name)
	if err != nil {
		return err
	}
	dt, encode := encoder[T]()
	if t.DType != dt || t.Len() != len(data) {
		return fmt.Errorf("tensor %.80q is %s of shape %v, got %d elements of %s", name, t.DType, t.Shape, len(data), dt)
	}
	for n := 0; len(data) > 0; data = data[n:] {
		n = min(len(data), pieceBytes/dt.Size())
		w.piece = encode(w.piece[:0], data[:n])
		if err := w.put(w.piece); err != nil {
			return err
		}
	}
	return nil
}

func encoder[T Number]() (DType, func(dst []byte, src []T) []byte) {
	var zero T
	switch any(zero).(type) {
	case float32:
		return F32, func(b []byte, src []T) []byte {
			for _, x := range src {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
			}
			return b
		}
	case float64:
		return F64, func(b []byte, src []T) []byte {
			for _, x := range src {
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(x)))
			}
			return b
		}
	}
	return I32, func(b []byte, src []T) []byte {
		for _, x := range src {
			b = binary.LittleEndian.AppendUint32(b, uint32(int32(x)))
		}
		return b
	}
}

func (w *Writer) take(name string) (Tensor, error) {
	if w.next == len(w.header.tensors) || w.header.tensors[w.next].Name != name {
		return Tensor{}, fmt.Errorf("tensor %.80q is not the one declared next", name)
	}
	w.next++
	return w.header.tensors[w.next-1], nil
}

// Close says whether every declared tensor was written. It does not close the
// destination.
func (w *Writer) Close() error {
	if w.next < len(w.header.tensors) {
		return fmt.Errorf("tensor %.80q was declared but not written", w.header.tensors[w.next].Name)
	}
	return nil
}

// Sum is the size and checksum of a file.
type Sum struct {
	Bytes  int64
	SHA256 string // hexadecimal
}

// WriteFile writes a file through fill, which writes every tensor once, and puts
// it in place of path when it is complete and synced to disk. On an error path
// is as it was.
func WriteFile(path string, tensors []Tensor, metadata map[string]string, fill func(*Writer) error) (sum Sum, err error) {
	pending, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return Sum{}, err
	}
	defer func() {
		err = errors.Join(err, pending.Cleanup())
	}()
	hash := sha256.New()
	count := &counter{}
	w, err := NewWriter(io.MultiWriter(pending, hash, count), tensors, metadata)
	if err == nil {
		err = fill(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = pending.CloseAtomicallyReplace()
	}
	if err != nil {
		return Sum{}, fmt.Errorf("writing %s: %w", path, err)
	}
	return Sum{Bytes: count.n, SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
