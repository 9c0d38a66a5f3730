package gossip

import (
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second // a test that waits longer has failed

// key keeps out members of other clusters on this machine, which may know a port from those
// who had it before.
var key = []byte(rand.Text())[:16]

// member is one that takes nobody for dead, however busy the machine is.
func member(id string) Config {
	c := watchful(id, time.Hour)
	c.Tuning.GossipInterval, c.Tuning.ProbeTimeout = 5*time.Millisecond, 10*time.Millisecond
	return c
}

// watchful is a member that sees a death within the failure timeout.
func watchful(id string, failureTimeout time.Duration) Config {
	tuning, err := TuningFor(failureTimeout)
	if err != nil {
		panic(err)
	}
	return Config{
		Bind:   "127.0.0.1:0",
		Keys:   [][]byte{key},
		Meta:   Meta{ID: id, Incarnation: 7, Role: Node, Address: "127.0.0.1:4000", Device: "cpu"},
		Tuning: tuning,
		Log:    slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func start(t *testing.T, c Config) *Gossip {
	t.Helper()
	g, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Shutdown() })
	return g
}

// pair is two members that know each other.
func pair(t *testing.T, a, b Config) (*Gossip, *Gossip) {
	t.Helper()
	first, second := start(t, a), start(t, b)
	if err := second.Join(first.Address()); err != nil {
		t.Fatal(err)
	}
	expect(t, first, Joined, b.Meta.ID)
	expect(t, second, Joined, a.Meta.ID)
	return first, second
}

// expect waits for the next event of g.
func expect(t *testing.T, g *Gossip, kind Kind, id string) {
	t.Helper()
	select {
	case e := <-g.Events():
		if e.Kind != kind || e.Meta.ID != id {
			t.Fatalf("got %s %s, want %s %s", e.Meta.ID, e.Kind, id, kind)
		}
	case <-time.After(patience):
		t.Fatalf("never heard that %s %s", id, kind)
	}
}

func TestMembersKnowEachOther(t *testing.T) {
	a, b := pair(t, member("a"), member("b"))
	for _, g := range []*Gossip{a, b} {
		want := []Meta{member("a").Meta, member("b").Meta}
		if got := g.Members(); !slices.Equal(got, want) {
			t.Errorf("members are %+v, want %+v", got, want)
		}
	}
}

func TestLeavingIsNotFailing(t *testing.T) {
	a, b := pair(t, member("a"), member("b"))
	b.spread = patience // which news may take on a busy machine
	if err := b.Leave(patience); err != nil {
		t.Fatal(err)
	}
	expect(t, a, Left, "b")
}

func TestDeathIsNoticed(t *testing.T) {
	a, b := pair(t, watchful("a", time.Second), member("b"))
	if err := b.Shutdown(); err != nil {
		t.Fatal(err)
	}
	expect(t, a, Failed, "b")
}

func TestRestartedNodeIsNewMember(t *testing.T) {
	a, b := pair(t, watchful("a", time.Second), member("b"))
	b.Shutdown()
	again := member("b")
	again.Meta.Incarnation++
	if err := start(t, again).Join(a.Address()); err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]Kind{} // first
	for len(seen) < 2 {
		select {
		case e := <-a.Events():
			if _, known := seen[e.Meta.Incarnation]; !known {
				seen[e.Meta.Incarnation] = e.Kind
			}
		case <-time.After(patience):
			t.Fatalf("saw only %v", seen)
		}
	}
	if seen[7] != Failed || seen[8] != Joined {
		t.Errorf("saw %v, want 7 failed and 8 joined", seen)
	}
}

func TestWrongKeyIsKeptOut(t *testing.T) {
	keyed := member("a")
	keyed.Keys = [][]byte{bytes.Repeat([]byte{1}, 32)}
	wrong := member("b")
	wrong.Keys = [][]byte{bytes.Repeat([]byte{2}, 32)}
	none := member("c")
	none.Keys = nil
	a := start(t, keyed)
	for _, stranger := range []Config{wrong, none} {
		err := start(t, stranger).Join(a.Address())
		if err == nil || !strings.Contains(err.Error(), "gossip key") {
			t.Errorf("%s: joining gave %v", stranger.Meta.ID, err)
		}
	}
	if n := len(a.Members()); n != 1 {
		t.Errorf("%d members, want only a itself", n)
	}
}

// TestKeysAreChanged: members understand each other at every stage of a change.
func TestKeysAreChanged(t *testing.T) {
	old, next := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 16)
	stages := [][][]byte{{old}, {old, next}, {next, old}, {next}}
	for i := range len(stages) - 1 {
		before, after := member("a"), member("b")
		before.Keys, after.Keys = stages[i], stages[i+1]
		a, b := start(t, before), start(t, after)
		if err := b.Join(a.Address()); err != nil {
			t.Fatalf("from stage %d to %d: %v", i, i+1, err)
		}
		if e := <-a.Events(); e.Kind != Joined || e.Meta.ID != "b" {
			t.Errorf("stage %d: a heard %+v", i, e)
		}
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := member("a")
	c.Bind = taken.Addr().String()
	_, err = Start(c)
	if err == nil || !strings.Contains(err.Error(), c.Bind+" is in use") {
		t.Errorf("got %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no port":    {func(c *Config) { c.Bind = "127.0.0.1" }, "not HOST:PORT"},
		"name":       {func(c *Config) { c.Bind = "localhost:0" }, "must be an IP address"},
		"key":        {func(c *Config) { c.Keys = [][]byte{[]byte("short")} }, "needs 16, 24 or 32"},
		"id":         {func(c *Config) { c.Meta.ID = "a b" }, "only letters, digits"},
		"no timings": {func(c *Config) { c.Tuning = Tuning{} }, "TuningFor"},
	} {
		c := member("a")
		test.change(&c)
		if _, err := Start(c); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
}

func TestLogGoesToSlogAtDebug(t *testing.T) {
	var out bytes.Buffer
	to := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	logger(to).Printf("[WARN] memberlist: Refuting a suspect message")
	if got := out.String(); !strings.Contains(got, `level=DEBUG msg="Refuting a suspect message" memberlist_level=WARN`) {
		t.Errorf("logged %q", got)
	}
}
