package model

import (
	"slices"
	"testing"
)

// TestHostMatrixShowsEveryRow reads rows of a strided matrix in and against their
// order, through windows of every size.
func TestHostMatrixShowsEveryRow(t *testing.T) {
	be := open(t, "ref")
	whole := randomMatrix(7, 5, func(int) float64 { return 1 })
	m := whole.on(t, be).Columns(1, 4)
	var h hostMatrix
	for window := 1; window <= 9; window++ {
		h.see(be, m, window)
		for _, i := range []int{0, 1, 2, 3, 4, 5, 6, 2, 6, 0} {
			if got, want := h.row(i), whole[i][1:4]; h.err != nil || !slices.Equal(got, want) {
				t.Errorf("window of %d, row %d: %v, %v, want %v", window, i, got, h.err, want)
			}
		}
	}
}

// TestDiagnoseBytesIsWhatALookTakes holds the count against what the backend is
// asked for; the float64 beside it is the look's own.
func TestDiagnoseBytesIsWhatALookTakes(t *testing.T) {
	for _, packed := range []bool{false, true} {
		m := &meter{Backend: open(t, "cpu")}
		c := tiny()
		c.Layers = 1
		model := newModel(t, m, c, 2, 8)
		b := randomTokens(c, 2, 8, packed).on(t, m)
		m.bytes, m.host = 0, 0
		if _, err := model.Diagnose(b); err != nil {
			t.Fatal(err)
		}
		device, host := c.DiagnoseBytes(m.Info().Precision, 2, 8)
		if m.bytes != device || m.host > host || host > 3*m.host {
			t.Errorf("packed %t: %d and %d bytes counted, %d asked of the device and %d of the host", packed, device, host, m.bytes, m.host)
		}
	}
}
