package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
)

// File is an open file whose header has been checked. Its methods, and [Read],
// may be called from several goroutines.
type File struct {
	src      io.ReaderAt
	closer   io.Closer
	name     string
	dataAt   int64
	header   *header
	position map[string]int // in header.tensors
}

// Open opens a file and checks its header. The error names the file.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	file, err := New(f, info.Size())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	file.closer, file.name = f, path
	return file, nil
}

// New reads a file of size bytes from any source.
func New(src io.ReaderAt, size int64) (*File, error) {
	if size < 8 {
		return nil, fmt.Errorf("a safetensors file has at least 8 bytes, this one %d", size)
	}
	var length [8]byte
	if _, err := src.ReadAt(length[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > size-8 {
		return nil, fmt.Errorf("this is no safetensors file, or a truncated one: its header would have %d bytes, the file has %d", n, size)
	}
	text := make([]byte, n)
	if _, err := src.ReadAt(text, 8); err != nil && !(err == io.EOF && n == uint64(size-8)) {
		return nil, err
	}
	h, err := parseHeader(text, size-8-int64(n))
	if err != nil {
		return nil, err
	}
	f := &File{src: src, name: "file", dataAt: 8 + int64(n), header: h, position: map[string]int{}}
	for i, t := range h.tensors {
		f.position[t.Name] = i
	}
	return f, nil
}

// Close closes what [Open] opened.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// Tensors lists the tensors in the order of their data.
func (f *File) Tensors() []Tensor { return append([]Tensor(nil), f.header.tensors...) }

// Metadata is a copy of the file's strings.
func (f *File) Metadata() map[string]string { return maps.Clone(f.header.metadata) }

// Lookup finds a tensor by name.
func (f *File) Lookup(name string) (Tensor, bool) {
	i, ok := f.position[name]
	if !ok {
		return Tensor{}, false
	}
	return f.header.tensors[i], true
}

// Number is what tensors are read into and written from.
type Number interface{ float32 | float64 | int32 }

// Read fills dst with the tensor's elements, of which there must be len(dst).
// Floating-point types are converted to float32 or float64, exactly but for F64
// to float32, which rounds; integers to int32, or to float64 where they fit
// exactly. Any other conversion, and a value that does not fit, is an error.
func Read[T Number](f *File, name string, dst []T) error {
	t, ok := f.Lookup(name)
	if !ok {
		return fmt.Errorf("%s: there is no tensor %.80q", f.name, name)
	}
	if t.Len() != len(dst) {
		return fmt.Errorf("%s: tensor %.80q has shape %v, want %d elements", f.name, name, t.Shape, len(dst))
	}
	if err := readInto(f, t, dst); err != nil {
		return fmt.Errorf("%s: tensor %.80q: %w", f.name, name, err)
	}
	return nil
}

// ReadAll is [Read] into new memory.
func ReadAll[T Number](f *File, name string) ([]T, error) {
	t, _ := f.Lookup(name)
	if t.DType == "" {
		return nil, fmt.Errorf("%s: there is no tensor %.80q", f.name, name)
	}
	dst := make([]T, t.Len())
	return dst, Read(f, name, dst)
}

// pieceBytes is how much of a tensor is converted at a time.
const pieceBytes = 256 << 10

func readInto[T Number](f *File, t Tensor, dst []T) error {
	decode, err := decoder[T](t.DType)
	if err != nil {
		return err
	}
	size := t.DType.Size()
	piece := make([]byte, min(pieceBytes, t.Bytes()))
	for done := 0; done < len(dst); {
		n := min(len(dst)-done, len(piece)/size)
		at := f.dataAt + t.begin + int64(done*size)
		if got, err := f.src.ReadAt(piece[:n*size], at); got < n*size {
			return fmt.Errorf("reading at byte %d: %w", at, err)
		}
		if err := decode(dst[done:done+n], piece); err != nil {
			return err
		}
		done += n
	}
	return nil
}

// decoder converts len(dst) elements of a dtype at the start of src.
func decoder[T Number](dt DType) (func(dst []T, src []byte) error, error) {
	var zero T
	_, toInt := any(zero).(int32)
	switch {
	case dt == I32:
		return decodeInts[T](4, func(b []byte) int64 { return int64(int32(binary.LittleEndian.Uint32(b))) }), nil
	case dt == I64:
		return decodeInts[T](8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) }), nil
	case toInt:
	case dt == F32:
		return decodeF32[T], nil
	case dt == F64:
		return decodeFloats[T](8, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }), nil
	case dt == BF16:
		return decodeFloats[T](2, func(b []byte) float64 {
			return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))
		}), nil
	case dt == F16:
		return decodeFloats[T](2, func(b []byte) float64 { return float64(halfToFloat(binary.LittleEndian.Uint16(b))) }), nil
	}
	return nil, fmt.Errorf("cannot read %s as %T", dt, zero)
}

// decodeF32 keeps every bit of float32, also a NaN's, and is the common case.
func decodeF32[T Number](dst []T, src []byte) error {
	if exact, ok := any(dst).([]float32); ok {
		for i := range exact {
			exact[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
		return nil
	}
	for i := range dst {
		dst[i] = T(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:])))
	}
	return nil
}

func decodeFloats[T Number](size int, element func([]byte) float64) func([]T, []byte) error {
	return func(dst []T, src []byte) error {
		for i := range dst {
			dst[i] = T(element(src[i*size:]))
		}
		return nil
	}
}

func decodeInts[T Number](size int, element func([]byte) int64) func([]T, []byte) error {
	return func(dst []T, src []byte) error {
		for i := range dst {
			x := element(src[i*size:])
			if dst[i] = T(x); int64(dst[i]) != x {
				return fmt.Errorf("element %d does not fit: %d as %T", i, x, dst[i])
			}
		}
		return nil
	}
}

// halfToFloat widens an IEEE 754 binary16, exactly.
func halfToFloat(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exponent {
	case 0: // zero or subnormal: fraction * 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f: // infinity or NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
