package cpu

// packRows copies a k x n block, row by row, to rows of ld elements. Elements
// n..ld-1 of a row are left as they are.
func packRows(dst []float32, ld int, src []float32, stride, k, n int) {
	for p := range k {
		copy(dst[p*ld:p*ld+n], src[p*stride:p*stride+n])
	}
}

// packTransposed copies the transpose of an n x k block to k rows of ld
// elements. Elements n..ld-1 of a row are left as they are.
func packTransposed(set *kernelSet, dst []float32, ld int, src []float32, stride, n, k int) {
	lanes := set.lanes
	j, blocks := 0, k/lanes
	for ; j+lanes <= n; j += lanes {
		set.transpose(dst[j:], ld, src[j*stride:], stride, blocks)
		for i := j; i < j+lanes && blocks*lanes < k; i++ {
			transposePortable(dst[blocks*lanes*ld+i:], ld, src[i*stride+blocks*lanes:], stride, k-blocks*lanes)
		}
	}
	for ; j < n; j++ {
		transposePortable(dst[j:], ld, src[j*stride:], stride, k)
	}
}

// transposePortable is transpose for vectors of one element: a row of src becomes
// a column of dst.
func transposePortable(dst []float32, dstStride int, src []float32, srcStride int, blocks int) {
	for p, x := range src[:blocks] {
		dst[p*dstStride] = x
	}
}

// packPanels copies a k x n block to panels of nr columns: row p of panel i goes to
// dst[i*panelStride+p*nr]. Columns of the last panel past n are left as they are.
func packPanels(set *kernelSet, dst []float32, panelStride int, src []float32, stride, k, n int) {
	nr := set.nr
	whole := n / nr
	for p := range k {
		set.scatter(dst[p*nr:], panelStride, src[p*stride:], whole)
		if whole*nr < n {
			copy(dst[whole*panelStride+p*nr:], src[p*stride+whole*nr:p*stride+n])
		}
	}
}

// scatterPortable copies panels of portable.nr elements of a row to dst, stride
// apart.
func scatterPortable(dst []float32, panelStride int, src []float32, panels int) {
	const nr = 16
	for i := range panels {
		copy(dst[i*panelStride:][:nr], src[i*nr:])
	}
}
