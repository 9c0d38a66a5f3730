package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// randomSpec fills every field with an arbitrary value of its type.
func randomSpec(rng *rand.Rand) Spec {
	var s Spec
	for _, k := range keys {
		v := reflect.ValueOf(&s).Elem().FieldByIndex(k.index)
		switch k.kind {
		case reflect.Int:
			v.SetInt(rng.Int64() - rng.Int64())
		case reflect.Uint64:
			v.SetUint(rng.Uint64() >> 1)
		case reflect.Float64:
			v.SetFloat(math.Ldexp(rng.Float64(), rng.IntN(200)-100))
		case reflect.Bool:
			v.SetBool(rng.IntN(2) == 0)
		case reflect.String:
			v.SetString(strings.Repeat("a\"\\\n\té\x7f", rng.IntN(3)))
		}
	}
	return s
}

func TestCanonicalReadsBackExactly(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		s := randomSpec(rng)
		got, err := Parse(Canonical(s))
		if err != nil {
			t.Fatalf("%v\n%s", err, Canonical(s))
		}
		if got != s {
			t.Fatalf("read back with differences: %v", Diff(s, got))
		}
		if Hash(got) != Hash(s) {
			t.Fatal("equal specs, different hashes")
		}
	}
}

// A hash names runs in ledgers and checkpoints, so a change to the canonical
// form orphans them: make it knowingly.
func TestHashIsStable(t *testing.T) {
	const want = "a142642b"
	s, err := Parse(Canonical(Spec{Seed: 1, Model: Model{Layers: 2, NormEps: 1e-6, Mixer: "parallax", ProbeInit: "unit"}, Optimizer: Optimizer{LR: 1}, Data: Data{Task: "none"}, Train: Train{Recompute: "none"}}))
	if err != nil {
		t.Fatal(err)
	}
	if got := Hash(s)[:8]; got != want {
		t.Errorf("hash %s, want %s, of\n%s", got, want, Canonical(s))
	}
}

func TestEveryKeyChangesTheHash(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	a, b := randomSpec(rng), randomSpec(rng)
	for _, k := range keys {
		c := a
		reflect.ValueOf(&c).Elem().FieldByIndex(k.index).Set(reflect.ValueOf(k.value(&b)))
		diff := Diff(a, c)
		if k.value(&a) == k.value(&b) {
			if len(diff) != 0 {
				t.Errorf("%s: differs from itself: %v", k.Name, diff)
			}
			continue
		}
		if Hash(a) == Hash(c) || len(diff) != 1 || diff[0].Key != k.Name {
			t.Errorf("%s: diff %v", k.Name, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	whole := string(Canonical(Spec{}))
	for _, c := range []struct{ text, want string }{
		{strings.Replace(whole, "layers = 0\n", "", 1), "spec: model.layers is missing: another version of the program wrote this specification"},
		{whole + "more = 1\n", `spec:67: unknown key diagnostics.more (the line reads: more = 1)`},
	} {
		_, err := Parse([]byte(c.text))
		checkRefused(t, err, c.want)
	}
}

func TestDiffReadsAsASentence(t *testing.T) {
	a, b := Spec{}, Spec{}
	a.Model.Mixer, b.Model.Mixer = "parallax", "softmax"
	if d := Diff(a, b); len(d) != 1 || d[0].String() != `model.mixer is "parallax", not "softmax"` {
		t.Errorf("got %v", d)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(Canonical(Spec{})))
	f.Add("model = {layers = 4}\n[model]\n")
	f.Add("a.b.c = 1\n[a]\nb = 2")
	f.Add("preset = [[1]]\n\"x\\u0000\" = 1979-05-27")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse([]byte(text))
		if e := new(Error); err != nil && !errors.As(err, &e) {
			t.Fatalf("%T: %v", err, err)
		}
		if err != nil {
			return
		}
		if again, err := Parse(Canonical(s)); err != nil || again != s {
			t.Fatalf("canonical form of an accepted spec: %v", err)
		}
	})
}

// TestSpecFromBeforeAKey takes the late keys out of a specification, as an earlier
// version of the program wrote it: it still reads, and has the hash it had.
func TestSpecFromBeforeAKey(t *testing.T) {
	now := randomSpec(rand.New(rand.NewPCG(5, 6)))
	now.Diagnostics.Every, now.Train.Recompute, now.Data.Task = 0, "none", "none"
	earlier, _, found := strings.Cut(string(Canonical(now)), "\n[diagnostics]")
	if !found {
		t.Fatalf("no [diagnostics] in\n%s", Canonical(now))
	}
	earlier = strings.Replace(earlier, "recompute = \"none\"\n", "", 1)
	earlier = strings.Replace(earlier, "task = \"none\"\n", "", 1)
	got, err := Parse([]byte(earlier))
	if err != nil || got != now {
		t.Fatalf("got %v, %v", Diff(now, got), err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256([]byte(earlier))); Hash(got) != want {
		t.Errorf("hash %s, had %s", Hash(got), want)
	}
	now.Diagnostics.Every = 7
	if Hash(now) == Hash(got) {
		t.Error("the key does not count where it says something new")
	}
}
