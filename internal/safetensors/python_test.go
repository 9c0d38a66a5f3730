package safetensors

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// python is an interpreter with the reference implementation, or the test is
// skipped. PARALLAX_PYTHON names another one than python3.
func python(t *testing.T) string {
	t.Helper()
	name := os.Getenv("PARALLAX_PYTHON")
	if name == "" {
		name = "python3"
	}
	if err := exec.Command(name, "-c", "import numpy, safetensors.numpy").Run(); err != nil {
		t.Skipf("%s has no safetensors and numpy (%v); set PARALLAX_PYTHON to one that has", name, err)
	}
	return name
}

func TestReferenceImplementationReadsAndWrites(t *testing.T) {
	py, dir := python(t), t.TempDir()
	ours, theirs := filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
	writeTensors(t, ours, []float32{1, -0.5, 3e-42})
	script := `
import sys, numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
x = load_file(sys.argv[1])
assert x["w"].dtype == np.float32 and x["w"].tolist() == np.array([1, -0.5, 3e-42], np.float32).tolist(), x
assert x["scalar"].shape == () and x["scalar"] == np.pi and x["empty"].shape == (0, 3)
assert x['ids "é"'].tolist() == [[-1], [2147483647]]
assert safe_open(sys.argv[1], "np").metadata() == {"scale": "0.125", "a<b": "1\n"}
save_file({"h": np.array([[1, 2], [-3, 6e-8]], np.float16), "z": np.array([7], np.int64), "d": np.array(2.5)}, sys.argv[2], {"k": "v"})
`
	if out, err := exec.Command(py, "-c", script, ours, theirs).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := Open(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := ReadAll[float32](f, "h")
	if err != nil || h[2] != -3 || h[3] != 0x1p-24 {
		t.Errorf("F16: %v, %v", h, err)
	}
	z, err := ReadAll[int32](f, "z")
	if err != nil || z[0] != 7 || f.Metadata()["k"] != "v" {
		t.Errorf("I64: %v, %v, metadata %v", z, err, f.Metadata())
	}
	if d, err := ReadAll[float64](f, "d"); err != nil || math.Abs(d[0]-2.5) > 0 {
		t.Errorf("F64 scalar: %v, %v", d, err)
	}
}
