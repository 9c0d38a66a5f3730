package verify_test

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parallax/internal/verify"
	"parallax/internal/verify/verifytest"
	"parallax/kernels"
	_ "parallax/kernels/cpu"
)

func shape(window int) kernels.AttentionShape {
	return kernels.AttentionShape{Batch: 2, SeqLen: 37, QHeads: 4, KVHeads: 2, HeadDim: 16, Window: window}
}

var cases = map[string]verifytest.Case{
	"parallax":          {AttentionShape: shape(0), Probe: true},
	"softmax":           {AttentionShape: shape(0)},
	"window, documents": {AttentionShape: shape(9), Probe: true, CuSeqlens: []int{0, 5, 37, 60, 74}},
	"scale":             {AttentionShape: kernels.AttentionShape{Batch: 1, SeqLen: 5, QHeads: 1, KVHeads: 1, HeadDim: 8, Scale: 0.5}, Probe: true},
}

func write(t *testing.T, c verifytest.Case, spoil func(*verifytest.File)) string {
	t.Helper()
	f, err := verifytest.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if spoil != nil {
		spoil(f)
	}
	path := filepath.Join(t.TempDir(), "reference.safetensors")
	if err := f.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// run compares this host's cpu backend with a file.
func run(t *testing.T, path string) map[string]verify.Comparison {
	t.Helper()
	reference, err := verify.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	be, err := kernels.Open("cpu", kernels.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	results, err := reference.Run(be)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]verify.Comparison{}
	for _, r := range results {
		byName[r.Output] = r
	}
	return byName
}

func TestOracleIsMet(t *testing.T) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			results := run(t, write(t, c, nil))
			want := []string{"grad_k", "grad_q", "grad_v", "o"}
			if c.Probe {
				want = []string{"grad_k", "grad_q", "grad_r", "grad_v", "o"}
			}
			if got := slices.Sorted(maps.Keys(results)); !slices.Equal(got, want) {
				t.Errorf("compared %v, want %v", got, want)
			}
			for _, r := range results {
				if !r.Within(1e-5) {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// One wrong element shows in the output that it is in, and only there.
func TestWrongOutputShows(t *testing.T) {
	for _, spoilt := range []string{"o", "grad_q", "grad_r", "grad_k", "grad_v"} {
		results := run(t, write(t, cases["window, documents"], func(f *verifytest.File) { f.Tensors[spoilt].Data[100] += 1 }))
		for name, r := range results {
			if r.Within(1e-3) == (name == spoilt) {
				t.Errorf("%s is wrong, and %+v", spoilt, r)
			}
		}
	}
}

func TestNaNIsNotWithin(t *testing.T) {
	results := run(t, write(t, cases["parallax"], func(f *verifytest.File) { f.Tensors["o"].Data[3] = float32(math.NaN()) }))
	if r := results["o"]; r.Within(1e30) {
		t.Errorf("%+v is within", r)
	}
}

// What is left out is not compared: the forward output alone, or gradients alone.
func TestPartialReference(t *testing.T) {
	results := run(t, write(t, cases["parallax"], func(f *verifytest.File) {
		for name := range f.Tensors {
			if strings.HasPrefix(name, "grad_") {
				delete(f.Tensors, name)
			}
		}
	}))
	if len(results) != 1 || !results["o"].Within(1e-5) {
		t.Errorf("got %v", results)
	}
	results = run(t, write(t, cases["parallax"], func(f *verifytest.File) {
		delete(f.Tensors, "o")
		delete(f.Tensors, "grad_k")
	}))
	if len(results) != 3 || !results["grad_r"].Within(1e-5) {
		t.Errorf("got %v", results)
	}
}

func TestMalformedReferences(t *testing.T) {
	without := func(names ...string) func(*verifytest.File) {
		return func(f *verifytest.File) {
			for _, name := range names {
				delete(f.Tensors, name)
			}
		}
	}
	meta := func(name, value string) func(*verifytest.File) {
		return func(f *verifytest.File) { f.Metadata[name] = value }
	}
	reshape := func(name string, shape ...int) func(*verifytest.File) {
		return func(f *verifytest.File) { f.Tensors[name].Shape = shape }
	}
	for want, spoil := range map[string]func(*verifytest.File){
		"tensor q is missing":                        without("q"),
		"tensor k is missing":                        without("k"),
		"tensor v is missing":                        without("v"),
		"gradients are given but not grad_o":         without("grad_o"),
		"grad_r is given but not r":                  without("r"),
		"there is nothing to compare with":           without("o", "grad_q", "grad_r", "grad_k", "grad_v"),
		"tensor q has shape [2 37 64], want":         reshape("q", 2, 37, 64),
		"tensor q has shape [0 37 64 1]":             func(f *verifytest.File) { f.Tensors["q"] = &verifytest.Tensor{Shape: []int{0, 37, 64, 1}} },
		"q is [2 37 4 16] and k is [1 74 2 16]":      reshape("k", 1, 74, 2, 16),
		"q is [2 37 4 16] and k is [2 37 4 8]":       reshape("k", 2, 37, 4, 8),
		"tensor v has shape [1 74 2 16], want":       reshape("v", 1, 74, 2, 16),
		"tensor grad_r has shape [37 2 4 16], want":  reshape("grad_r", 37, 2, 4, 16),
		`metadata scale "half" is not a number`:      meta("scale", "half"),
		`metadata scale "NaN" is not a number`:       meta("scale", "NaN"),
		`metadata window "-3" is not a number`:       meta("window", "-3"),
		`metadata window "1.5" is not a number`:      meta("window", "1.5"),
		`metadata cu_seqlens: "" is not an integer`:  meta("cu_seqlens", ""),
		`metadata cu_seqlens: "x" is not an integer`: meta("cu_seqlens", "0,x,74"),
		"cu_seqlens": meta("cu_seqlens", "0,50,40,74"),
		"heads": func(f *verifytest.File) {
			f.Tensors["q"] = &verifytest.Tensor{Shape: []int{2, 37, 3, 16}, Data: make([]float32, 2*37*3*16)}
		},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := verify.Open(write(t, cases["parallax"], spoil))
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "reference.safetensors") {
				t.Errorf("got %v, want %q and the file's name", err, want)
			}
		})
	}
}

func TestNoSafetensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reference.safetensors")
	if _, err := verify.Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v", err)
	}
	for _, text := range []string{"", "no tensors here", "\xff\xff\xff\xff\xff\xff\xff\x7f{}"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := verify.Open(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
	}
	whole, err := os.ReadFile(write(t, cases["parallax"], nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a truncated file: %v", err)
	}
}
