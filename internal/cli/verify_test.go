package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"parallax/internal/verify/verifytest"
	"parallax/kernels"
)

// reference writes the oracle's answer to a case, which spoil, if not nil, changes.
func (p place) reference(c verifytest.Case, spoil func(*verifytest.File)) {
	p.t.Helper()
	f, err := verifytest.New(c)
	if err != nil {
		p.t.Fatal(err)
	}
	if spoil != nil {
		spoil(f)
	}
	if err := f.Write(p.path("reference.safetensors")); err != nil {
		p.t.Fatal(err)
	}
}

var parallaxCase = verifytest.Case{Probe: true, CuSeqlens: []int{0, 20, 33, 66, 70, 99},
	AttentionShape: kernels.AttentionShape{Batch: 3, SeqLen: 33, QHeads: 6, KVHeads: 2, HeadDim: 24, Window: 11}}

// compared is a line of verify --json.
type compared struct {
	Output string
	RMS    *float64 `json:"relative_rms"`
	Max    *float64 `json:"relative_max"`
	OK     bool
}

func (c *process) compared() map[string]compared {
	c.t.Helper()
	all := map[string]compared{}
	for line := range strings.Lines(c.stdout.String()) {
		var r compared
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			c.t.Fatalf("%q: %v", line, err)
		}
		all[r.Output] = r
	}
	return all
}

func TestVerify(t *testing.T) {
	long(t)
	t.Parallel()
	softmax := parallaxCase
	softmax.Probe, softmax.CuSeqlens = false, nil
	for outputs, c := range map[int]verifytest.Case{5: parallaxCase, 4: softmax} {
		p := newPlace(t)
		p.reference(c, nil)
		got := p.run("verify", "reference.safetensors", "--json").want(0).compared()
		if len(got) != outputs {
			t.Errorf("compared %v, want %d outputs", got, outputs)
		}
		for _, r := range got {
			if !r.OK || r.RMS == nil || *r.RMS > 1e-5 || r.Max == nil || *r.Max > 1e-4 {
				t.Errorf("%+v", r)
			}
		}
		table := p.run("verify", "reference.safetensors", "--backend", "cpu", "--threads", "1").want(0).stdout.String()
		if lines := strings.Count(table, "\n"); lines != outputs+1 || strings.Count(table, "ok") != outputs {
			t.Errorf("the table is\n%s", table)
		}
	}
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlace(t)
	p.reference(parallaxCase, func(f *verifytest.File) { f.Tensors["grad_r"].Data[7] += 10 })
	c := p.run("verify", "reference.safetensors", "--json").want(1)
	for name, r := range c.compared() {
		if r.OK == (name == "grad_r") {
			t.Errorf("%+v", r)
		}
	}
	if said := c.stderr.String(); said != "parallax: 1 of 5 outputs are further than 0.001 from the reference\n" {
		t.Errorf("it said %q", said)
	}
	p.run("verify", "reference.safetensors", "--tol", "100").want(0)
	p.run("verify", "reference.safetensors", "--backend", "tpu").refuses(2, "tpu", "cpu")
	p.reference(parallaxCase, func(f *verifytest.File) { delete(f.Tensors, "k") })
	p.run("verify", "reference.safetensors").refuses(2, "reference.safetensors", "tensor k is missing")
	p.write("reference.safetensors", "nothing of the kind")
	p.run("verify", "reference.safetensors").refuses(2, "reference.safetensors")
}
