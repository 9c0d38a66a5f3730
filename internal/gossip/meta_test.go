package gossip

import (
	"strings"
	"testing"

	"github.com/hashicorp/memberlist"
)

func TestMetaSurvivesTheWire(t *testing.T) {
	want := Meta{ID: "gpu07", Incarnation: 1732391445, Role: Coordinator, Address: "[::1]:9", Device: "cuda:0", Leaving: true}
	data, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(data); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestLargestMetaFits(t *testing.T) {
	largest := Meta{
		ID:          strings.Repeat("n", maxID),
		Incarnation: 1<<64 - 1,
		Role:        Coordinator,
		Address:     strings.Repeat("h", maxAddress-len(":65535")) + ":65535",
		Device:      strings.Repeat("d", maxDevice),
		Leaving:     true,
	}
	if _, err := largest.encode(); err != nil {
		t.Error(err)
	}
}

func TestStrangersMetaIsChecked(t *testing.T) {
	for _, bad := range []string{
		"",
		"{",
		`{"id":"","role":"node","addr":"h:1"}`,
		`{"id":"a/../b","role":"node","addr":"h:1"}`,
		`{"id":"a","role":"king","addr":"h:1"}`,
		`{"id":"a","role":"node","addr":"h"}`,
		`{"id":"a","role":"node","addr":"h:1","dev":"` + strings.Repeat("d", maxDevice+1) + `"}`,
		`{"id":"a","role":"node","addr":"h:1"}{}`,
		`{"id":"a","role":"node","addr":"h:1"}` + strings.Repeat(" ", memberlist.MetaMaxSize),
	} {
		if got, err := decode([]byte(bad)); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}

func TestForgedNameIsKeptOut(t *testing.T) {
	id, err := newIdentity(member("a").Meta, new(roster))
	if err != nil {
		t.Fatal(err)
	}
	meta, err := member("b").Meta.encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := id.NotifyAlive(&memberlist.Node{Name: "b#7", Meta: meta}); err != nil {
		t.Error(err)
	}
	if err := id.NotifyAlive(&memberlist.Node{Name: "c#7", Meta: meta}); err == nil {
		t.Error("b was let in as c")
	}
}

func FuzzMeta(f *testing.F) {
	f.Add([]byte(`{"id":"a","inc":1,"role":"node","addr":"h:1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		meta, err := decode(data)
		if err != nil {
			return
		}
		encoded, err := meta.encode()
		if err != nil {
			t.Skip("JSON may escape what came in plain, and grow over the limit")
		}
		if again, err := decode(encoded); err != nil || again != meta {
			t.Errorf("%+v came back as %+v, %v", meta, again, err)
		}
	})
}
