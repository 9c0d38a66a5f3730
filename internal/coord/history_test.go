package coord

import (
	"context"
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
