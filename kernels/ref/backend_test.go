package ref

import (
	"strings"
	"testing"

	"parallax/kernels"
)

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one that says %q", err, part)
	}
}

func wantPanic(t *testing.T, part string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if p, _ := recover().(string); !strings.Contains(p, part) {
			t.Errorf("panic %q, want one that says %q", p, part)
		}
	}()
	f()
}

func TestNothingRunsBeforeAWait(t *testing.T) {
	d := newDevice(t)
	buf := d.numbers(1, 2)
	early := []float64{7, 7}
	read := d.CopyOut(kernels.Bytes(early), buf)
	d.Zero(buf)
	if early[0] != 7 || buf.(buffer).floats[0] != 1 {
		t.Fatal("an operation ran before anybody waited")
	}
	if err := read.Wait(); err != nil {
		t.Fatal(err)
	}
	// buf was overwritten before the copy was awaited, so the copy is spoilt.
	if early[0] != 0 {
		t.Errorf("the copy read %v, want the zero that was stored behind it", early[0])
	}
}

func TestCopyInReadsItsSourceLate(t *testing.T) {
	d := newDevice(t)
	buf, src := d.zeros(1), []float64{1}
	copied := d.CopyIn(buf, kernels.Bytes(src))
	src[0] = 2
	if err := copied.Wait(); err != nil {
		t.Fatal(err)
	}
	wantClose(t, "buf", d.read(buf), 2)
}

func TestMarkRunsWhatIsBeforeIt(t *testing.T) {
	d := newDevice(t)
	buf := d.numbers(1)
	before := d.Mark()
	d.Zero(buf)
	if err := before.Wait(); err != nil || buf.(buffer).floats[0] != 1 {
		t.Errorf("an operation behind the mark ran (%v)", err)
	}
	if err := d.Sync(); err != nil || buf.(buffer).floats[0] != 0 {
		t.Errorf("an operation did not run before Sync returned (%v)", err)
	}
}

func TestErrorsStick(t *testing.T) {
	d := newDevice(t)
	y := kernels.Mat(d.zeros(1), 1, 1)
	d.Embedding(kernels.Embedding{Y: y, W: y, Tokens: d.ints(3)})
	for range 2 {
		wantError(t, d.Sync(), "token 3 of row 0 is not in the vocabulary of 1")
	}
	wantError(t, d.Mark().Wait(), "token 3")
}

func TestStoresAreRounded(t *testing.T) {
	d := newDevice(t)
	src := d.numbers(1.0/3, 1+1.0/512)
	for dt, want := range map[kernels.DType][]float64{
		kernels.F64:  {1.0 / 3, 1 + 1.0/512},
		kernels.F32:  {float64(float32(1.0 / 3)), 1 + 1.0/512},
		kernels.BF16: {0.333984375, 1},
	} {
		dst := d.alloc(dt, 2)
		d.Copy(dst, src)
		wantClose(t, dt.String(), d.read(dst), want...)
	}
}

func TestMisusePanics(t *testing.T) {
	d, other := newDevice(t), newDevice(t)
	freed := d.zeros(2)
	view := freed.Slice(0, 1)
	view.Free() // does nothing
	d.Zero(freed)
	freed.Free()
	wantPanic(t, "used after Free", func() { d.Zero(view) })
	wantPanic(t, "freed twice", func() { freed.Free() })
	wantPanic(t, "another oracle", func() { d.Zero(other.zeros(1)) })
	wantPanic(t, "slice [1, 4) of a buffer of 3", func() { d.zeros(3).Slice(1, 4) })
	wantPanic(t, "copy of 3 elements to 2", func() { d.Copy(d.zeros(2), d.zeros(3)) })
	wantPanic(t, "copy of 24 bytes", func() { d.CopyIn(d.zeros(2), make([]byte, 24)) })
	wantPanic(t, "int32 elements where numbers", func() { d.SumSquares(d.zeros(1), d.ints(1), false) })
	wantPanic(t, "float64 elements where int32", func() { d.Copy(d.zeros(1), d.ints(1)) })
	wantPanic(t, "matmul: A is missing", func() { d.MatMul(kernels.MatMul{}) })
}

func TestMemoryIsBounded(t *testing.T) {
	d := newDevice(t)
	_, err := d.Alloc(kernels.F64, MaxBytes/8+1)
	wantError(t, err, "cannot allocate 1073741825 float64 elements: 8589934592 of 8589934592 bytes are free")
	_, err = d.Alloc(kernels.F64, -1)
	wantError(t, err, "cannot allocate -1")
	d.zeros(10).Free()
	if d.bytes != 0 {
		t.Errorf("%d bytes are taken after Free", d.bytes)
	}
}

func TestRegistered(t *testing.T) {
	b, err := kernels.Open("ref", kernels.Options{})
	if err != nil || b.Info().Device != "ref" {
		t.Fatalf("Open(ref): %v", err)
	}
	_, err = kernels.Open("ref:1", kernels.Options{})
	wantError(t, err, "ref:1: there is one oracle")
}
