package coord

import (
	"context"
	"runtime"
	"sync"
	"testing"
)

func TestEveryReaderGetsEverything(t *testing.T) {
	h := newHistory()
	const events, readers = 200, 5
	var wg sync.WaitGroup
	counts := make([]int64, readers)
	for reader := range readers {
		wg.Go(func() {
			for e := range h.follow(context.Background(), int64(reader)) {
				if want := int64(reader) + counts[reader] + 1; e.Sequence != want {
					t.Errorf("reader %d got event %d, want %d", reader, e.Sequence, want)
				}
				counts[reader]++
			}
		})
	}
	for range events {
		h.append(noticeEvent(nil, false, "x"))
	}
	h.end()
	wg.Wait()
	for reader, n := range counts {
		if n != events-int64(reader) {
			t.Errorf("reader %d got %d events, want %d", reader, n, events-reader)
		}
	}
}

func TestReaderCanStop(t *testing.T) {
	h := newHistory()
	h.append(noticeEvent(nil, false, "x"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range h.follow(ctx, 0) {
		cancel() // it would wait for the next event
	}
	for range h.follow(context.Background(), 0) {
		break
	}
}

// keepingHistory is one with an archive.
func keepingHistory(t *testing.T) *history {
	t.Helper()
	h := newHistory()
	h.archive = ledgerArchive{openLedger(t), "/runs/r1"}
	return h
}

func (h *history) grow(t *testing.T, n int) {
	t.Helper()
	for range n {
		if err := h.append(noticeEvent(nil, false, "a sentence of the length that a sentence has")); err != nil {
			t.Fatal(err)
		}
	}
}

// A reader that begins when most events are long out of memory gets all of them,
// and those that come meanwhile.
func TestOldHistoryComesFromTheArchive(t *testing.T) {
	h := keepingHistory(t)
	const before, meanwhile = 3 * recent, 100
	h.grow(t, before)
	next := int64(2)
	for e := range h.follow(context.Background(), 1) {
		if e.Sequence != next {
			t.Fatalf("got event %d, want %d", e.Sequence, next)
		}
		if next++; next == before/2 {
			h.grow(t, meanwhile)
			h.end()
		}
	}
	if next != before+meanwhile+1 {
		t.Errorf("the last event was %d, want %d", next-1, before+meanwhile)
	}
}

func TestHistoryWithoutAnArchiveBeginsLater(t *testing.T) {
	h := newHistory()
	h.grow(t, 5*recent)
	h.end()
	first, n := int64(0), 0
	for e := range h.follow(context.Background(), 0) {
		if n == 0 {
			first = e.Sequence
		}
		n++
	}
	if n < recent || n > 2*recent || first != int64(5*recent-n+1) {
		t.Errorf("%d events from %d on", n, first)
	}
}

// TestMemoryDoesNotGrowWithTheRun tells ever more events, with a reader at the end.
func TestMemoryDoesNotGrowWithTheRun(t *testing.T) {
	h := keepingHistory(t)
	heap := func() int64 {
		if err := h.archive.(ledgerArchive).ledger.Flush(); err != nil {
			t.Fatal(err)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const part = 10 * recent // some 3 MB
	h.grow(t, part)
	early := heap()
	h.grow(t, 2*part)
	if grown := heap() - early; grown > 1<<20 {
		t.Errorf("%d events more take %d bytes more", 2*part, grown)
	}
	runtime.KeepAlive(h)
}
