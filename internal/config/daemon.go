package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// DefaultFailureTimeout, for how long a silent peer is waited for, lets a run go on
// within 2 s of a host that has stopped or is cut off; a process that dies is noticed
// at once. It is the one deadline that a deployment sets: every other is derived from
// it. It is no limit on a step: nodes show that they live while they compute.
const DefaultFailureTimeout = 1500 * time.Millisecond

// CheckPatience refuses a --patience that is over before it begins.
func CheckPatience(d time.Duration) error {
	if d > 0 {
		return nil
	}
	return &Error{Key: "patience", Msg: fmt.Sprintf("--patience is %s; it must be more than 0", d)}
}

// Daemon merges how a process is deployed: the flags given, over PARALLAX_*
// variables, over a TOML file ("" for none), over the flags' defaults. Flag
// --failure-timeout is PARALLAX_FAILURE_TIMEOUT and the file's failure_timeout,
// and so on for every flag of the set; the file can hold nothing else. Afterwards
// the flags' variables have the merged values. A value that does not fit its flag
// is an [*Error].
func Daemon(flags *pflag.FlagSet, file string) error {
	d, err := readFile(file)
	if err != nil {
		return err
	}
	v := viper.New()
	if d != nil {
		if err := mergeFile(v, d, flags); err != nil {
			return err
		}
	}
	flags.VisitAll(func(f *pflag.Flag) {
		if err == nil && f.Name != "help" {
			err = settle(v, f, d)
		}
	})
	return err
}

func settingName(f *pflag.Flag) string { return strings.ReplaceAll(f.Name, "-", "_") }

// mergeFile gives the file's values to v and refuses keys that are no flag.
func mergeFile(v *viper.Viper, d *document, flags *pflag.FlagSet) error {
	var known []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			known = append(known, settingName(f))
		}
	})
	if len(d.tables) > 0 {
		t := d.tables[0]
		return d.fail(t.line, t.key, "settings of a daemon have no sections: remove [%s]", t.key)
	}
	values := map[string]any{}
	for _, e := range d.values {
		if !slices.Contains(known, e.key) {
			return d.fail(e.line, e.key, "unknown setting %s%s", e.key, didYouMean(e.key, known))
		}
		values[e.key] = e.value
	}
	return v.MergeConfigMap(values)
}

// settle gives a flag the value that variable or file have for it, unless it was
// given itself. The value goes through the flag's own parser, so that it is checked
// wherever it came from.
func settle(v *viper.Viper, f *pflag.Flag, d *document) error {
	key, env := settingName(f), envName(f.Name)
	if inSection(env) {
		return &Error{Key: key, Msg: fmt.Sprintf("--%s: %s would be read as a key of the run specification; rename the flag", f.Name, env)}
	}
	if err := v.BindEnv(key, env); err != nil {
		return err
	}
	if f.Changed || !v.IsSet(key) {
		return nil
	}
	value := v.Get(key)
	err := f.Value.Set(flagText(value))
	if err == nil {
		return nil
	}
	if text := os.Getenv(env); text != "" {
		return &Error{Key: key, Err: err, Msg: fmt.Sprintf("environment: %s=%s: %v", env, text, err)}
	}
	line := slices.IndexFunc(d.values, func(e entry) bool { return e.key == key })
	return d.fail(d.values[line].line, key, "%s = %s: %v", key, showTOML(value), err)
}

// flagText writes a TOML value as it would be typed behind a flag.
func flagText(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	parts := make([]string, len(list))
	for i, x := range list {
		parts[i] = fmt.Sprint(x)
	}
	return strings.Join(parts, ",")
}
