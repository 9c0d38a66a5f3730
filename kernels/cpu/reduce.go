package cpu

import (
	"math"

	"parallax/kernels"
)

// sumChunk is the number of elements summed in one go, in float32; the sums of
// chunks are added in float64, in order.
const sumChunk = 16384

type squaresJob struct {
	set  *kernelSet
	x    []float32
	sums []float32 // of each chunk
}

// SumSquares writes or adds the sum of x's squares to dst[0].
func (b *Backend) SumSquares(dst, x kernels.Buffer, accumulate bool) {
	j := &b.squares
	*j = squaresJob{set: b.kernels, x: floats(x)}
	chunks := ceilDiv(len(j.x), sumChunk)
	j.sums = b.shared.take(chunks)
	b.pool.run(chunks, j)
	var sum float64
	out := floats(dst)
	if accumulate {
		sum = float64(out[0])
	}
	for _, s := range j.sums {
		sum += float64(s)
	}
	out[0] = float32(sum)
	*j = squaresJob{}
}

func (j *squaresJob) run(_ *worker, task int) {
	x := j.x[task*sumChunk : min((task+1)*sumChunk, len(j.x))]
	j.sums[task] = j.set.dot(x, x)
}

// ClipScale writes min(1, maxNorm/sqrt(sumSquares[0])) to dst[0].
func (b *Backend) ClipScale(dst, sumSquares kernels.Buffer, maxNorm float64) {
	scale := 1.0
	if maxNorm > 0 {
		scale = min(1, maxNorm/math.Sqrt(float64(floats(sumSquares)[0])))
	}
	floats(dst)[0] = float32(scale)
}

// dotPortable sums x.y in 8 interleaved parts, then the parts.
func dotPortable(x, y []float32) float32 {
	var part [8]float32
	y = y[:len(x)]
	n := len(x) &^ 7
	for i := 0; i < n; i += 8 {
		a, b := x[i:i+8], y[i:i+8]
		for l := range part {
			part[l] += a[l] * b[l]
		}
	}
	for i := n; i < len(x); i++ {
		part[i-n] += x[i] * y[i]
	}
	return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]))
}
