package record

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHistory(t *testing.T) {
	l := openNew(t)
	for n := range int64(5) {
		must(t, l.AppendHistory("/runs/a", n+1, fmt.Appendf(nil, "event %d", n+1)))
	}
	must(t, l.AppendHistory("/runs/b", 2, []byte{0}))
	got, err := l.History("/runs/a", 1, 3)
	if diff := cmp.Diff([][]byte{[]byte("event 2"), []byte("event 3"), []byte("event 4")}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	must(t, l.ClearHistory("/runs/a"))
	a, err1 := l.History("/runs/a", 0, 10)
	b, err2 := l.History("/runs/b", 0, 10)
	if len(a) != 0 || len(b) != 1 || err1 != nil || err2 != nil {
		t.Errorf("%d and %d events are left, %v %v", len(a), len(b), err1, err2)
	}
}
