package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
)

// Sources are the layers of a configuration, lowest first.
type Sources struct {
	Default string   // the preset to build on when neither Preset nor File names one; "": the defaults
	Preset  string   // the preset asked for; a file that names another one is refused
	File    string   // path of a TOML file, "": none
	Environ []string // as of os.Environ
	Set     []string // "model.layers=4", the later over the earlier
	Flags   []Flag   // over all others
}

// Flag is a setting that has a flag of its own.
type Flag struct {
	Name       string // as it was typed: "--steps"
	Key, Value string
}

// Loaded is a valid Spec and where its values came from.
type Loaded struct {
	Spec   Spec
	Preset string // the name of the preset it builds on, or ""

	origins map[string]string
}

// Origin says where a key's value came from: "default", "preset small",
// "run.toml:12", "environment PARALLAX_MODEL_LAYERS" or "--set".
func (l *Loaded) Origin(key string) string { return l.origins[key] }

// Load reads the layers, each over the one before, and validates the result.
// Every error is an [*Error].
func Load(src Sources) (*Loaded, error) {
	l := &Loaded{origins: map[string]string{}}
	if err := l.loadLayers(src); err != nil {
		return nil, err
	}
	if err := validate(&l.Spec); err != nil {
		err.Msg += fmt.Sprintf(" (from %s)", l.Origin(err.Key))
		return nil, err
	}
	return l, nil
}

func (l *Loaded) loadLayers(src Sources) error {
	file, err := readFile(src.File)
	if err != nil {
		return withPresetHint(err)
	}
	if l.Preset, err = choosePreset(src, file); err != nil {
		return err
	}
	if err := l.loadPreset(l.Preset); err != nil {
		return err
	}
	if file != nil {
		if err := l.applyDocument(file, func(line int) string { return fmt.Sprintf("%s:%d", file.file, line) }); err != nil {
			return err
		}
	}
	if err := l.applyEnviron(src.Environ); err != nil {
		return err
	}
	if err := l.applySet(src.Set); err != nil {
		return err
	}
	for _, f := range src.Flags {
		if err := l.apply(f.Key, f.Value, f.Name, f.Name+" "+f.Value); err != nil {
			return err
		}
	}
	return nil
}

func readFile(path string) (*document, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{Msg: fmt.Sprintf("cannot read the config file: %v", err), Err: err}
	}
	return parseDocument(path, data)
}

// withPresetHint says how to write a run's file, where there is none.
func withPresetHint(err error) error {
	if absent := new(Error); errors.As(err, &absent) && errors.Is(err, fs.ErrNotExist) {
		absent.Msg += "; write one to begin with: parallax config presets small > FILE"
	}
	return err
}

// put sets one value.
func (l *Loaded) put(k Key, value any, origin string) {
	reflect.ValueOf(&l.Spec).Elem().FieldByIndex(k.index).Set(reflect.ValueOf(value))
	l.origins[k.Name] = origin
}

// presetKey is the one key of a file that is not the Spec's.
const presetKey = "preset"

func (l *Loaded) applyDocument(d *document, origin func(line int) string) error {
	for _, t := range d.tables {
		if !slices.Contains(sections, t.key) {
			return d.fail(t.line, t.key, "unknown section [%s]%s", t.key, didYouMean(t.key, sections))
		}
	}
	for _, e := range d.values {
		if e.key == presetKey {
			continue
		}
		k, known := keyIndex[e.key]
		if !known {
			return d.fail(e.line, e.key, "unknown key %s%s", e.key, didYouMean(e.key, keyNames))
		}
		value, err := k.fromTOML(e.value)
		if err != nil {
			return d.fail(e.line, e.key, "%v", err)
		}
		l.put(k, value, origin(e.line))
	}
	return nil
}

// sections are the tables of a Spec: "model", "optimizer", ...
var sections = slices.Sorted(maps.Keys(sectionSet(keyNames)))

func sectionSet(keys []string) map[string]bool {
	set := map[string]bool{}
	for _, k := range keys {
		if section, _, dotted := strings.Cut(k, "."); dotted {
			set[section] = true
		}
	}
	return set
}

func (l *Loaded) applySet(set []string) error {
	for _, s := range set {
		name, text, ok := strings.Cut(s, "=")
		if !ok {
			return &Error{Msg: fmt.Sprintf("--set %s: write --set key=value", s)}
		}
		if err := l.apply(strings.TrimSpace(name), strings.TrimSpace(text), "--set", "--set "+s); err != nil {
			return err
		}
	}
	return nil
}

// apply sets a key from text; typed is what an error quotes.
func (l *Loaded) apply(key, text, origin, typed string) error {
	k, known := keyIndex[key]
	if !known {
		return &Error{Key: key, Msg: fmt.Sprintf("%s: unknown key %s%s", typed, key, didYouMean(key, keyNames))}
	}
	value, err := k.fromText(text)
	if err != nil {
		return &Error{Key: key, Msg: fmt.Sprintf("%s: %v", typed, err)}
	}
	l.put(k, value, origin)
	return nil
}
