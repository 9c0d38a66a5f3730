package safetensors

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bitPatterns are the floats that a careless conversion loses.
func bitPatterns(n int) []float32 {
	rng := rand.New(rand.NewPCG(1, 1))
	out := make([]float32, n)
	for i := range out {
		out[i] = math.Float32frombits(rng.Uint32())
	}
	copy(out, []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), math.Float32frombits(0x7f800001), math.SmallestNonzeroFloat32})
	return out
}

func writeTensors(t *testing.T, path string, floats []float32) Sum {
	t.Helper()
	tensors := []Tensor{
		{Name: "w", DType: F32, Shape: []int{len(floats)}},
		{Name: "empty", DType: F32, Shape: []int{0, 3}},
		{Name: "scalar", DType: F64},
		{Name: "ids \"é\"", DType: I32, Shape: []int{2, 1}},
	}
	sum, err := WriteFile(path, tensors, map[string]string{"scale": "0.125", "a<b": "1\n"}, func(w *Writer) error {
		return errors.Join(Write(w, "w", floats), Write(w, "empty", []float32{}), Write(w, "scalar", []float64{math.Pi}), Write(w, "ids \"é\"", []int32{-1, math.MaxInt32}))
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestRoundTripKeepsEveryBit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	want := bitPatterns(pieceBytes/4 + 77) // more than a piece
	sum := writeTensors(t, path, want)

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if hash := sha256.Sum256(data); sum.SHA256 != hex.EncodeToString(hash[:]) || sum.Bytes != int64(len(data)) {
		t.Errorf("sum %+v of a file of %d bytes with %x", sum, len(data), hash)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := ReadAll[float32](f, "w")
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("element %d: %x, want %x", i, math.Float32bits(got[i]), math.Float32bits(want[i]))
		}
	}
	scalar, err1 := ReadAll[float64](f, "scalar")
	ids, err2 := ReadAll[int32](f, "ids \"é\"")
	empty, err3 := ReadAll[float32](f, "empty")
	if err := errors.Join(err1, err2, err3); err != nil || scalar[0] != math.Pi || ids[0] != -1 || ids[1] != math.MaxInt32 || len(empty) != 0 {
		t.Errorf("%v %v %v, %v", scalar, ids, empty, err)
	}
	if diff := cmp.Diff(map[string]string{"scale": "0.125", "a<b": "1\n"}, f.Metadata()); diff != "" {
		t.Error(diff)
	}
	if f.dataAt%8 != 0 {
		t.Errorf("data begin at byte %d", f.dataAt)
	}
}

// file builds a file from header text and data.
func file(header string, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func open(b []byte) (*File, error) { return New(bytes.NewReader(b), int64(len(b))) }

func TestConversions(t *testing.T) {
	f, err := open(file(`{"h":{"dtype":"F16","shape":[6],"data_offsets":[0,12]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[12,16]},
		"l":{"dtype":"I64","shape":[2],"data_offsets":[16,32]},"d":{"dtype":"F64","shape":[1],"data_offsets":[32,40]}}`,
		"\x00\x3c"+"\x01\x00"+"\xff\x7b"+"\x00\xfc"+"\x00\x80"+"\xff\x03"+ // 1, 2^-24, 65504, -Inf, -0, largest subnormal
			"\x80\x3f"+"\x49\xc0"+ // 1, -3.140625
			"\xff\xff\xff\xff\xff\xff\xff\xff"+"\x00\x00\x00\x00\x01\x00\x00\x00"+ // -1, 2^32
			"\x9a\x99\x99\x99\x99\x99\xb9\x3f")) // 0.1
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		want []float64
	}{
		{"h", []float64{1, 0x1p-24, 65504, math.Inf(-1), math.Copysign(0, -1), 1023 * 0x1p-24}},
		{"b", []float64{1, -3.140625}},
		{"l", []float64{-1, 1 << 32}},
		{"d", []float64{0.1}},
	} {
		got, err := ReadAll[float64](f, c.name)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
		}
	}
	if got, err := ReadAll[float32](f, "d"); err != nil || got[0] != 0.1 {
		t.Errorf("F64 as float32: %v, %v", got, err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{Read(f, "l", make([]int32, 2)), `file: tensor "l": element 1 does not fit: 4294967296 as int32`},
		{Read(f, "b", make([]int32, 2)), `file: tensor "b": cannot read BF16 as int32`},
		{Read(f, "b", make([]float32, 3)), `file: tensor "b" has shape [2], want 3 elements`},
		{Read(f, "x", make([]float32, 3)), `file: there is no tensor "x"`},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("got %v, want %s", c.err, c.want)
		}
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	const ok = `{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	if _, err := open(file(ok, "12345678")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "at least 8 bytes"},
		{"cut in the header", file(ok, "")[:20], "truncated"},
		{"cut in the data", file(ok, "1234567"), "describes 8 bytes of data, the file has 7"},
		{"data left over", file(ok, "123456789"), "describes 8 bytes of data, the file has 9"},
		{"absurd header length", []byte("\xff\xff\xff\xff\xff\xff\xff\xff{}"), "truncated"},
		{"not JSON", file("{nonsense", ""), "no JSON"},
		{"not an object", file("[]", ""), "no JSON object"},
		{"two objects", file("{}{}", ""), "goes on"},
		{"not UTF-8", file("{\"\xff\":1}", ""), "UTF-8"},
		{"unclosed", file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`, "12345678"), "no JSON"},
		{"name twice", file(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678"), `names "w" twice`},
		{"field twice", file(`{"w":{"dtype":"F32","dtype":"F64","shape":[2],"data_offsets":[0,8]}}`, "12345678"), "given twice"},
		{"unknown field", file(`{"w":{"dtype":"F32","strides":[1],"shape":[2],"data_offsets":[0,8]}}`, "12345678"), "unknown"},
		{"field missing", file(`{"w":{"dtype":"F32","data_offsets":[0,8]}}`, "12345678"), "needs a dtype"},
		{"null shape", file(`{"w":{"dtype":"F32","shape":null,"data_offsets":[0,8]}}`, "12345678"), "needs a dtype"},
		{"unknown dtype", file(`{"w":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}`, "12345678"), `"F33" is unknown`},
		{"size disagrees", file(`{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, "12345678"), "has 12 bytes, but data_offsets span 8"},
		{"negative shape", file(`{"w":{"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]}}`, "12345678"), "negative"},
		{"shape overflows to its size", file(`{"w":{"dtype":"F32","shape":[4611686018427387906,1],"data_offsets":[0,8]}}`, "12345678"), "larger than any file"},
		{"shape is a fraction", file(`{"w":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}`, "12345678"), `field "shape"`},
		{"offsets reversed", file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, "12345678"), "no range"},
		{"three offsets", file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}`, "12345678"), "no range"},
		{"out of range", file(`{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, "12345678"), "describes 16 bytes"},
		{"overlap", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678"), "overlap"},
		{"gap", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, "123"), "gaps"},
		{"metadata twice", file(`{"__metadata__":{"a":"1","a":"2"}}`, ""), `metadata names "a" twice`},
		{"metadata no string", file(`{"__metadata__":{"a":1}}`, ""), `metadata "a" is no string`},
	} {
		if _, err := open(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ...%s...", c.name, err, c.want)
		}
	}
}

func TestWriterHoldsTheCallerToItsDeclaration(t *testing.T) {
	declared := []Tensor{{Name: "a", DType: F32, Shape: []int{2}}, {Name: "b", DType: F16, Shape: []int{1}}}
	for _, c := range []struct {
		name string
		fill func(*Writer) error
		want string
	}{
		{"order", func(w *Writer) error { return writeRaw(w, "b", make([]byte, 2)) }, `tensor "b" is not the one declared next`},
		{"length", func(w *Writer) error { return Write(w, "a", []float32{1}) }, `tensor "a" is F32 of shape [2], got 1 elements of F32`},
		{"type", func(w *Writer) error { return Write(w, "a", []float64{1, 2}) }, `tensor "a" is F32 of shape [2], got 2 elements of F64`},
		{"left out", func(w *Writer) error { return Write(w, "a", []float32{1, 2}) }, `tensor "b" was declared but not written`},
	} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := WriteFile(path, declared, nil, c.fill)
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ...%s", c.name, err, c.want)
		}
		assertOnly(t, path, "before")
	}
}

// assertOnly wants the file as it was and nothing beside it.
func assertOnly(t *testing.T, path, content string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != content {
		t.Errorf("the file holds %.20q, %v", got, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files in the folder, want 1 (%v)", len(entries), err)
	}
}

func TestWriterRefusesBadDeclarations(t *testing.T) {
	for _, c := range []struct {
		tensors []Tensor
		want    string
	}{
		{[]Tensor{{Name: "a", DType: F32}, {Name: "a", DType: F32}}, "the name is taken"},
		{[]Tensor{{Name: "__metadata__", DType: F32}}, "the name is taken"},
		{[]Tensor{{Name: "a", DType: "F31"}}, "unknown"},
		{[]Tensor{{Name: "a\xff", DType: F32}}, "not UTF-8"},
		{[]Tensor{{Name: "a", DType: F32, Shape: []int{math.MaxInt}}}, "larger than any file"},
		{[]Tensor{{Name: "a", DType: "U8", Shape: []int{math.MaxInt}}, {Name: "b", DType: "U8", Shape: []int{1}}}, "all tensors together"},
	} {
		if _, err := NewWriter(&bytes.Buffer{}, c.tensors, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want ...%s...", err, c.want)
		}
	}
}

// FuzzOpen wants no panic, and of what is accepted that every tensor can be read
// and that writing it again gives the same tensors.
func FuzzOpen(f *testing.F) {
	f.Add(file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"a":"b"}}`, "12345678"))
	f.Add(file(`{"w":{"dtype":"F16","shape":[],"data_offsets":[0,2]},"v":{"dtype":"BF16","shape":[0,9],"data_offsets":[2,2]}}   `, "12"))
	f.Add(file(`{}`, ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := open(data)
		if err != nil {
			return
		}
		var out bytes.Buffer
		w, err := NewWriter(&out, in.Tensors(), in.Metadata())
		if err != nil {
			t.Fatal(err)
		}
		for _, tensor := range in.Tensors() {
			if err := writeRaw(w, tensor.Name, data[in.dataAt+tensor.begin:in.dataAt+tensor.end]); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadAll[float64](in, tensor.Name); err != nil && !strings.Contains(err.Error(), "cannot read") && !strings.Contains(err.Error(), "does not fit") {
				t.Fatal(err)
			}
		}
		again, err := open(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in.Tensors(), again.Tensors(), cmp.AllowUnexported(Tensor{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// writeRaw writes the bytes of the next tensor, as the file is to have them.
func writeRaw(w *Writer, name string, data []byte) error {
	if _, err := w.take(name); err != nil {
		return err
	}
	return w.put(data)
}
