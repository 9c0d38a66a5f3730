package config

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

//go:embed defaults.toml presets/*.toml
var embedded embed.FS

// Preset is a named specification that comes with the program.
type Preset struct {
	Name        string
	Description string // one line
	TOML        string // its file, which explains its choices
}

// Presets lists what can follow "preset =", sorted by name.
func Presets() []Preset {
	files, err := embedded.ReadDir("presets")
	if err != nil {
		panic(err) // the directory is compiled in
	}
	all := make([]Preset, len(files))
	for i, f := range files {
		all[i] = readPreset(strings.TrimSuffix(f.Name(), ".toml"))
	}
	return all
}

// readPreset reads an embedded file; its first line is a comment that describes
// it.
func readPreset(name string) Preset {
	data, err := embedded.ReadFile(path.Join("presets", name+".toml"))
	if err != nil {
		panic(err)
	}
	first, _, _ := strings.Cut(string(data), "\n")
	return Preset{Name: name, Description: strings.TrimSpace(strings.TrimPrefix(first, "#")), TOML: string(data)}
}

// FindPreset is the preset of a name. The error, an [*Error], suggests a near one.
func FindPreset(name string) (Preset, error) {
	if !slices.Contains(presetNames(), name) {
		return Preset{}, &Error{Key: presetKey, Msg: unknownPreset(name)}
	}
	return readPreset(name), nil
}

func presetNames() []string {
	var all []string
	for _, p := range Presets() {
		all = append(all, p.Name)
	}
	return all
}

// choosePreset is the preset that the sources agree on.
func choosePreset(src Sources, file *document) (string, error) {
	named, line, err := presetOf(file)
	switch {
	case err != nil:
		return "", err
	case named != "" && src.Preset != "" && named != src.Preset:
		return "", file.fail(line, presetKey, "the file builds on preset %q, but preset %q was asked for: give one of them", named, src.Preset)
	case named != "":
		return named, checkPreset(named, func(msg string) error { return file.fail(line, presetKey, "%s", msg) })
	}
	name := src.Preset
	if name == "" {
		name = src.Default
	}
	return name, checkPreset(name, func(msg string) error { return &Error{Key: presetKey, Msg: msg} })
}

// presetOf is the value of a file's preset key, "" without one.
func presetOf(file *document) (name string, line int, err error) {
	if file == nil {
		return "", 0, nil
	}
	for _, e := range file.values {
		if e.key != presetKey {
			continue
		}
		name, ok := e.value.(string)
		if !ok || name == "" {
			return "", e.line, file.fail(e.line, presetKey, "preset must be the name of one of %s", strings.Join(presetNames(), ", "))
		}
		return name, e.line, nil
	}
	return "", 0, nil
}

func checkPreset(name string, fail func(msg string) error) error {
	if name == "" || slices.Contains(presetNames(), name) {
		return nil
	}
	return fail(unknownPreset(name))
}

func unknownPreset(name string) string {
	known := presetNames()
	return fmt.Sprintf("unknown preset %q%s the presets are %s", name, orColon(didYouMean(name, known)), strings.Join(known, ", "))
}

// orColon ends a clause before the list that follows it.
func orColon(suggestion string) string {
	if suggestion == "" {
		return ":"
	}
	return suggestion
}

// loadPreset applies the defaults and the named preset, both compiled in.
func (l *Loaded) loadPreset(name string) error {
	if err := l.applyEmbedded("defaults.toml", "default"); err != nil || name == "" {
		return err
	}
	return l.applyEmbedded(path.Join("presets", name+".toml"), "preset "+name)
}

func (l *Loaded) applyEmbedded(file, origin string) error {
	data, err := embedded.ReadFile(file)
	if err != nil {
		return &Error{Msg: fmt.Sprintf("built-in %s: %v", file, err), Err: err}
	}
	d, err := parseDocument("built-in "+file, data)
	if err != nil {
		return err
	}
	return l.applyDocument(d, func(int) string { return origin })
}
