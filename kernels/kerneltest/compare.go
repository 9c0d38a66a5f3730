package kerneltest

import (
	"fmt"
	"math"
)

// vanishing is the rms below which a reference counts as zero, so that errors are
// measured as they are: with one key, dq is exactly 0 on paper.
const vanishing = 1e-9

// near compares a result with the oracle's.
func (x tensor) near(oracle tensor, limit Limit) error {
	if err := x.untouched(); err != nil {
		return err
	}
	var diff2, ref2, diffMax, refMax float64
	worst := 0
	for row := range x.rows {
		for i := x.at(row); i < x.at(row)+x.cols; i++ {
			want := oracle.values[i]
			diff := math.Abs(x.values[i] - want)
			if x.values[i] == want {
				diff = 0 // infinities too
			}
			if !(diff <= diffMax) {
				diffMax, worst = diff, i
			}
			diff2, ref2, refMax = diff2+diff*diff, ref2+want*want, max(refMax, math.Abs(want))
		}
	}
	if n := float64(x.rows * x.cols); math.Sqrt(ref2/n) < vanishing {
		ref2, refMax = n, 1
	}
	rms, highest := math.Sqrt(diff2/ref2), diffMax/refMax
	if diffMax == 0 || rms <= limit.RMS && highest <= limit.Max {
		return nil
	}
	row, col := x.place(worst)
	return fmt.Errorf("%dx%d: relative RMS error %.2g (limit %.2g), maximum error %.2g of the maximum (limit %.2g), worst at row %d, column %d: %.9g where the oracle has %.9g",
		x.rows, x.cols, rms, limit.RMS, highest, limit.Max, row, col, x.values[worst], oracle.values[worst])
}

// untouched says whether what is no element of the tensor is still NaN.
func (x tensor) untouched() error {
	from := 0
	for row := range x.rows + 1 {
		to := len(x.values)
		if row < x.rows {
			to = min(x.at(row), len(x.values)) // rows of no columns are nowhere
		}
		for i := from; i < to; i++ {
			if v := x.values[i]; !math.IsNaN(v) {
				row, col := x.place(i)
				return fmt.Errorf("%dx%d with stride %d: wrote %.9g outside, at row %d, column %d", x.rows, x.cols, x.stride, v, row, col)
			}
		}
		from = to + x.cols
	}
	return nil
}

// at is where a row begins.
func (x tensor) at(row int) int { return x.offset + row*x.stride }

// place is the row and column of element i of the root buffer, which may lie
// outside the matrix.
func (x tensor) place(i int) (row, col int) {
	row = (i - x.offset) / x.stride
	col = (i - x.offset) % x.stride
	if col < 0 {
		row, col = row-1, col+x.stride
	}
	return row, col
}
