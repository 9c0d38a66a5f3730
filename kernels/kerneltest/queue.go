package kerneltest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"unsafe"

	"parallax/kernels"
)

// queueChecks hold what the interface promises beside the formulas.
var queueChecks = []struct {
	name string
	run  func(b kernels.Backend) error
}{
	{"info", checkInfo},
	{"alloc is zeroed", checkAllocZeroed},
	{"alloc too much", checkAllocTooMuch},
	{"host alloc", checkHostAlloc},
	{"round trip", checkRoundTrip},
	{"slices", checkSlices},
	{"order", checkOrder},
	{"free while in use", checkFree},
	{"copies beside the queue", checkConcurrentCopies},
	{"nan stays nan", checkNaN},
	{"bad shape panics", checkBadShape},
	{"lanes", checkLanes},
}

var elementTypes = []kernels.DType{kernels.F32, kernels.BF16, kernels.I32}

func checkInfo(b kernels.Backend) error {
	info := b.Info()
	p := info.Precision
	if info.Device == "" || info.Summary == "" || p.Compute.Size() > p.Master.Size() || p.Master == kernels.I32 || p.Compute == kernels.I32 {
		return fmt.Errorf("info %+v: want a name, a summary, and a Compute type no larger than the Master type", info)
	}
	return nil
}

// checkAllocZeroed dirties memory and gives it back, so that it is used again.
func checkAllocZeroed(b kernels.Backend) error {
	for _, dt := range elementTypes {
		for _, n := range []int{0, 1, 5, 1000, 100_000} {
			for range 2 {
				buf, err := b.Alloc(dt, n)
				if err != nil {
					return err
				}
				got := make([]byte, n*dt.Size())
				if err := b.CopyOut(got, buf).Wait(); err != nil {
					return err
				}
				if buf.Len() != n || buf.DType() != dt || !zero(got) {
					return fmt.Errorf("alloc of %d %v: got %d %v, zeroed %v", n, dt, buf.Len(), buf.DType(), zero(got))
				}
				if err := b.CopyIn(buf, bytes.Repeat([]byte{0x41}, len(got))).Wait(); err != nil {
					return err
				}
				buf.Free()
			}
		}
	}
	return nil
}

func zero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

func checkAllocTooMuch(b kernels.Backend) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("alloc of 2^50 bytes panicked, where an error is asked for: %v", p)
		}
	}()
	if _, err := b.Alloc(kernels.F32, 1<<48); err == nil {
		return errors.New("alloc of 2^50 bytes succeeded")
	}
	buf, err := b.Alloc(kernels.F32, 4)
	if err != nil {
		return fmt.Errorf("after an alloc that failed: %w", err)
	}
	buf.Free()
	return b.Sync()
}

func checkHostAlloc(b kernels.Backend) error {
	for _, n := range []int{0, 1, 63, 64, 1000, 1 << 20} {
		mem := b.HostAlloc(n)
		if len(mem) != n || !zero(mem) {
			return fmt.Errorf("host alloc of %d bytes: got %d, zeroed %v", n, len(mem), zero(mem))
		}
		if n > 0 && uintptr(unsafe.Pointer(&mem[0]))%64 != 0 {
			return fmt.Errorf("host alloc of %d bytes is not aligned to 64", n)
		}
	}
	return nil
}

// checkRoundTrip copies in and out whole buffers and their starts, from aligned
// and from odd addresses.
func checkRoundTrip(b kernels.Backend) error {
	for _, dt := range elementTypes {
		const n = 1001
		buf, err := b.Alloc(dt, n)
		if err != nil {
			return err
		}
		src, want := make([]byte, n*dt.Size()+1)[1:], make([]byte, n*dt.Size())
		for _, count := range []int{n, 1, 17} {
			part := src[:count*dt.Size()]
			for i := range part {
				part[i] = byte(i*7 + count)
			}
			copy(want, part)
			got := make([]byte, len(want)+1)[1:]
			if err := errors.Join(b.CopyIn(buf, part).Wait(), b.CopyOut(got, buf).Wait()); err != nil {
				return err
			}
			if !bytes.Equal(got, want) {
				return fmt.Errorf("%d of %d %v elements copied in and all out again: they differ", count, n, dt)
			}
		}
		buf.Free()
	}
	return nil
}

// checkSlices writes through a slice of a slice, and frees it, which does nothing.
func checkSlices(b kernels.Backend) error {
	buf, err := b.Alloc(kernels.F32, 10)
	if err != nil {
		return err
	}
	defer buf.Free()
	view := buf.Slice(2, 9).Slice(1, 4) // elements 3, 4, 5
	if err := kernels.WriteFloats(b, view, []float64{3, 4, 5}); err != nil {
		return err
	}
	b.Zero(view.Slice(1, 2))
	view.Free()
	empty := buf.Slice(10, 10)
	got, err := kernels.ReadFloats(b, buf)
	if err != nil {
		return err
	}
	if want := []float64{0, 0, 0, 3, 0, 5, 0, 0, 0, 0}; fmt.Sprint(got) != fmt.Sprint(want) || view.Len() != 3 || empty.Len() != 0 {
		return fmt.Errorf("writing to a slice gave %v, want %v", got, want)
	}
	return nil
}

// checkOrder counts to n on the device, and looks on at the half and at the end.
func checkOrder(b kernels.Backend) error {
	const n = 200
	vectors, err := allocFloats(b, 64, 0, 1)
	if err != nil {
		return err
	}
	counter, one := vectors[0], vectors[1]
	var half kernels.Buffer
	for i := range n {
		if i == n/2 {
			if half, err = b.Alloc(counter.DType(), counter.Len()); err != nil {
				return err
			}
			b.Copy(half, counter)
		}
		b.Update(kernels.Update{P: counter, U: one, Decay: 1, Rate: -1})
	}
	mark := b.Mark()
	var waited [2]error
	var group sync.WaitGroup
	for i := range waited { // an event may be waited for twice, by anybody
		group.Go(func() { waited[i] = mark.Wait() })
	}
	group.Wait()
	if err := errors.Join(waited[:]...); err != nil {
		return err
	}
	return errors.Join(wantAll(b, "counter", counter, n), wantAll(b, "counter at the half", half, n/2), b.Sync())
}

// checkFree gives memory back while operations that use it may still be queued,
// and asks for as much again.
func checkFree(b kernels.Backend) error {
	vectors, err := allocFloats(b, 100_000, 0, 1, 1)
	if err != nil {
		return err
	}
	sum, one, other := vectors[0], vectors[1], vectors[2]
	add := func(p, u kernels.Buffer) { b.Update(kernels.Update{P: p, U: u, Decay: 1, Rate: -1}) }
	for range 10 {
		add(sum, other)
		other.Free()
		if other, err = b.Alloc(sum.DType(), sum.Len()); err != nil {
			return err
		}
		add(sum, other) // zeros
		add(other, one)
	}
	return wantAll(b, "sum", sum, 10)
}

// checkConcurrentCopies reads and writes buffers from other goroutines while
// operations on others are enqueued.
func checkConcurrentCopies(b kernels.Backend) error {
	vectors, err := allocFloats(b, 3000, 0, 1, 7)
	if err != nil {
		return err
	}
	counter, one, still := vectors[0], vectors[1], vectors[2]
	scratch, err := b.Alloc(still.DType(), still.Len())
	if err != nil {
		return err
	}
	var reader, writer error
	var group sync.WaitGroup
	group.Go(func() {
		for range 50 {
			reader = errors.Join(reader, wantAll(b, "still", still, 7))
		}
	})
	group.Go(func() {
		for i := range 50 {
			writer = errors.Join(writer, writeAll(b, scratch, float64(i)), wantAll(b, "scratch", scratch, float64(i)))
		}
	})
	for range 200 {
		b.Update(kernels.Update{P: counter, U: one, Decay: 1, Rate: -1})
	}
	group.Wait()
	return errors.Join(reader, writer, wantAll(b, "counter", counter, 200))
}

func checkNaN(b kernels.Backend) error {
	src, err := b.Alloc(kernels.F32, 3)
	if err != nil {
		return err
	}
	dst, err := b.Alloc(kernels.BF16, 3)
	if err != nil {
		return err
	}
	// A NaN whose upper half alone looks like infinity.
	bits := []float32{math.Float32frombits(0x7f800001), math.Float32frombits(0xff80ffff), float32(math.NaN())}
	if err := b.CopyIn(src, kernels.Bytes(bits)).Wait(); err != nil {
		return err
	}
	b.Copy(dst, src)
	got, err := kernels.ReadFloats(b, dst)
	if err != nil {
		return err
	}
	for i, x := range got {
		if !math.IsNaN(x) {
			return fmt.Errorf("copy to bfloat16 made %v of NaN %d", x, i)
		}
	}
	return nil
}

func checkBadShape(b kernels.Backend) (err error) {
	vectors, err := allocFloats(b, 12, 1)
	if err != nil {
		return err
	}
	m := kernels.Mat(vectors[0], 3, 4)
	defer func() {
		if msg := fmt.Sprint(recover()); !strings.Contains(msg, "matmul: op(A) is 3x4 but op(B) has 3 rows") {
			err = fmt.Errorf("a matmul of 3x4 by 3x4: panic %q, want Check's message", msg)
		}
	}()
	b.MatMul(kernels.MatMul{C: m, A: m, B: m, Alpha: 1})
	return nil
}

// allocFloats makes vectors of n elements of the Master type, each full of one
// value.
func allocFloats(b kernels.Backend, n int, values ...float64) ([]kernels.Buffer, error) {
	var all []kernels.Buffer
	for _, x := range values {
		buf, err := b.Alloc(b.Info().Precision.Master, n)
		if err != nil {
			return nil, err
		}
		if err := writeAll(b, buf, x); err != nil {
			return nil, err
		}
		all = append(all, buf)
	}
	return all, nil
}

func writeAll(b kernels.Backend, buf kernels.Buffer, x float64) error {
	values := make([]float64, buf.Len())
	for i := range values {
		values[i] = x
	}
	return kernels.WriteFloats(b, buf, values)
}

func wantAll(b kernels.Backend, name string, buf kernels.Buffer, want float64) error {
	got, err := kernels.ReadFloats(b, buf)
	if err != nil {
		return err
	}
	for i, x := range got {
		if x != want {
			return fmt.Errorf("%s[%d] = %v, want %v", name, i, x, want)
		}
	}
	return nil
}
