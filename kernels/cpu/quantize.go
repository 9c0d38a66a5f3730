package cpu

import (
	"math"

	"parallax/kernels"
)

type quantizeJob struct {
	set        *kernelSet
	sum        []int32
	g          []float32
	accumulate bool
	scale      float32 // 1/unit
	limit      float32
	peaks      []int32 // of each task
}

// Quantize writes a gradient as integers, or adds it to such, and clears it.
func (b *Backend) Quantize(op kernels.Quantize) {
	kernels.Must(op.Check())
	j := &b.quantize
	*j = quantizeJob{set: b.kernels, sum: ints(op.Sum), g: floats(op.G), accumulate: op.Accumulate,
		scale: float32(1 / op.Unit()), limit: float32(op.Limit())}
	tasks := elementTasks(len(j.g))
	j.peaks = kernels.Cast[int32](kernels.Bytes(b.shared.take(tasks)))
	b.pool.run(tasks, j)
	peak := ints(op.Peak)
	for _, p := range j.peaks {
		peak[0] = max(peak[0], p)
	}
	*j = quantizeJob{}
}

func (j *quantizeJob) run(_ *worker, task int) {
	lo, hi := elementRange(task, len(j.g))
	g, sum := j.g[lo:hi], j.sum[lo:hi]
	if !j.accumulate {
		clear(sum)
	}
	j.peaks[task] = j.set.quantize(sum, g, j.scale, j.limit)
}

// quantizePortable adds g*scale, rounded and clamped, to sum, clears g, and returns
// the bits of the largest magnitude. The product is exact but for what is far
// below one half.
func quantizePortable(sum []int32, g []float32, scale, limit float32) (peak int32) {
	sum = sum[:len(g)]
	for i, x := range g {
		peak = max(peak, int32(math.Float32bits(x)&^(1<<31)))
		y := x * scale
		if !(y < limit) {
			y = limit
		}
		if y < -limit {
			y = -limit
		}
		sum[i] += roundToInt(y)
		g[i] = 0
	}
	return peak
}

// roundToInt rounds to the nearest integer, ties to even: in the addition, since
// the last bit of a float64 of about 1.5 * 2^52 counts ones.
func roundToInt(y float32) int32 { return int32(math.Float64bits(float64(y) + 0x1.8p52)) }

type dequantizeJob struct {
	set  *kernelSet
	g    []float32
	sum  []int32
	unit float32
}

// Dequantize turns a sum of integers back into a gradient.
func (b *Backend) Dequantize(op kernels.Dequantize) {
	kernels.Must(op.Check())
	b.dequantize = dequantizeJob{set: b.kernels, g: floats(op.G), sum: ints(op.Sum), unit: float32(op.Unit())}
	runOnce(b.pool, elementTasks(len(b.dequantize.g)), &b.dequantize)
}

func (j *dequantizeJob) run(_ *worker, task int) {
	lo, hi := elementRange(task, len(j.g))
	j.set.dequantize(j.g[lo:hi], j.sum[lo:hi], j.unit)
}

func dequantizePortable(g []float32, sum []int32, unit float32) {
	sum = sum[:len(g)]
	for i, n := range sum {
		g[i] = float32(n) * unit
	}
}
