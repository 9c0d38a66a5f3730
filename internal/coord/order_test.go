package coord

import (
	"slices"
	"strings"
	"testing"
)

func TestNaturalOrder(t *testing.T) {
	want := "1 2 10 a a1b2 a1b10 a-1 a-1b a-2 a-10 gpu07 gpu7 gpu8 node-002 node-2 node-010 node-10 node-x"
	names := strings.Fields(want)
	slices.Reverse(names)
	slices.SortFunc(names, compareNatural)
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
