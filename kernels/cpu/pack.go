package cpu

// packRows copies an k x n block, row by row, to rows of nr elements. Elements
// n..nr-1 of a row are left as they are.
func packRows(dst []float32, nr int, src []float32, stride, k, n int) {
	for p := range k {
		copy(dst[p*nr:p*nr+n], src[p*stride:p*stride+n])
	}
}

// packTransposed copies the transpose of an n x k block to k rows of nr
// elements. Elements n..nr-1 of a row are left as they are.
func packTransposed(dst []float32, nr int, src []float32, stride, n, k int) {
	for j := range n {
		row := src[j*stride : j*stride+k]
		for p, x := range row {
			dst[p*nr+j] = x
		}
	}
}
