package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Canonical writes a Spec as TOML in its one canonical form: every key, in the
// order of [Keys], numbers in the shortest form that reads back exactly.
func Canonical(s Spec) []byte { return write(s, keys) }

func write(s Spec, keys []Key) []byte {
	var b strings.Builder
	section := ""
	for _, k := range keys {
		name := k.Name
		if sec, last, dotted := strings.Cut(k.Name, "."); dotted {
			if sec != section {
				fmt.Fprintf(&b, "\n[%s]\n", sec)
				section = sec
			}
			name = last
		}
		fmt.Fprintf(&b, "%s = %s\n", name, showTOML(k.value(&s)))
	}
	return []byte(b.String())
}

// Parse reads what [Canonical] wrote, also before the last keys came. It is as
// strict as [Load], and any other key that is missing is an error too. It does not
// validate.
func Parse(canonical []byte) (Spec, error) {
	d, err := parseDocument("spec", canonical)
	if err != nil {
		return Spec{}, err
	}
	l := &Loaded{origins: map[string]string{}}
	if err := l.applyDocument(d, func(line int) string { return fmt.Sprintf("spec:%d", line) }); err != nil {
		return Spec{}, err
	}
	for _, k := range keys {
		switch {
		case l.origins[k.Name] != "":
		case k.before != nil:
			l.put(k, k.before, "before")
		default:
			return Spec{}, &Error{File: "spec", Key: k.Name, Msg: fmt.Sprintf("%s is missing: another version of the program wrote this specification", k.Name)}
		}
	}
	return l.Spec, nil
}

// Hash names a run's specification: the SHA-256 of its canonical form, in 64
// hexadecimal digits. Late keys that say what was done before they came are left
// out of it, so that a run's name outlives them.
func Hash(s Spec) string {
	counted := slices.DeleteFunc(Keys(), func(k Key) bool { return k.before != nil && k.value(&s) == k.before })
	sum := sha256.Sum256(write(s, counted))
	return hex.EncodeToString(sum[:])
}

// KeyDiff is a key in which two specs differ, and both values as TOML.
type KeyDiff struct {
	Key, A, B string
}

func (d KeyDiff) String() string { return fmt.Sprintf("%s is %s, not %s", d.Key, d.A, d.B) }

// Diff lists the keys in which a and b differ, in canonical order.
func Diff(a, b Spec) []KeyDiff {
	var diffs []KeyDiff
	for _, k := range keys {
		if va, vb := k.value(&a), k.value(&b); va != vb {
			diffs = append(diffs, KeyDiff{Key: k.Name, A: showTOML(va), B: showTOML(vb)})
		}
	}
	return diffs
}

// Value is a key, its value as TOML, and where it came from.
type Value struct {
	Key
	Value  string
	Origin string
}

// Values lists all values in canonical order.
func (l *Loaded) Values() []Value {
	all := make([]Value, len(keys))
	for i, k := range keys {
		all[i] = Value{Key: k, Value: showTOML(k.value(&l.Spec)), Origin: l.origins[k.Name]}
	}
	return all
}
