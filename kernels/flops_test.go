package kernels

import "testing"

func TestPairsCountsVisibleKeys(t *testing.T) {
	for _, s := range []AttentionShape{
		{Batch: 1, SeqLen: 1, QHeads: 1},
		{Batch: 2, SeqLen: 7, QHeads: 3},
		{Batch: 2, SeqLen: 7, QHeads: 3, Window: 1},
		{Batch: 1, SeqLen: 9, QHeads: 2, Window: 4},
		{Batch: 1, SeqLen: 4, QHeads: 2, Window: 9},
	} {
		want := int64(0)
		for i := range s.SeqLen {
			for j := range i + 1 {
				if s.Window == 0 || j > i-s.Window {
					want++
				}
			}
		}
		want *= int64(s.Batch * s.QHeads)
		if got := s.Pairs(); got != want {
			t.Errorf("%+v: %d pairs, want %d", s, got, want)
		}
	}
}
