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

// FailureTimeout is the key of the one deadline that a deployment sets: how long
// a silent peer is waited for. Every other deadline is derived from it.
const FailureTimeout = "failure_timeout"

// DefaultFailureTimeout lets a run go on within 2 s of a host that has stopped or is
// cut off; a process that dies is noticed at once. It is no limit on a step: nodes
// show that they live while they compute.
const DefaultFailureTimeout = 1500 * time.Millisecond

// AddFailureTimeout declares the flag of [FailureTimeout].
func AddFailureTimeout(flags *pflag.FlagSet) {
	flags.Duration("failure-timeout", DefaultFailureTimeout, "how long to wait for a silent peer; every deadline is derived from it")
}

// Daemon merges how a process is deployed: the flags given, over PARALLAX_*
// variables, over a TOML file ("" for none), over the flags' defaults. Flag
// --failure-timeout is PARALLAX_FAILURE_TIMEOUT and the file's failure_timeout,
// and so on for every flag of the set; the file can hold nothing else. The
// result is read by those keys (failure_timeout), and the flags' own variables
// have the merged values too. A value that does not fit its flag is an [*Error].
func Daemon(flags *pflag.FlagSet, file string) (*viper.Viper, error) {
	v := viper.New()
	d, err := readFile(file)
	if err != nil {
		return nil, err
	}
	if d != nil {
		if err := mergeFile(v, d, flags); err != nil {
			return nil, err
		}
	}
	flags.VisitAll(func(f *pflag.Flag) {
		if err == nil && f.Name != "help" {
			err = bind(v, f, d)
		}
	})
	if err != nil {
		return nil, err
	}
	return v, nil
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

// bind ties flag, variable and file together, and passes the winner through the
// flag's own parser, so that it is checked wherever it came from.
func bind(v *viper.Viper, f *pflag.Flag, d *document) error {
	key, env := settingName(f), envName(f.Name)
	if inSection(env) {
		return &Error{Key: key, Msg: fmt.Sprintf("--%s: %s would be read as a key of the run specification; rename the flag", f.Name, env)}
	}
	if err := v.BindPFlag(key, f); err != nil {
		return err
	}
	if err := v.BindEnv(key, env); err != nil {
		return err
	}
	if text, set := os.LookupEnv(env); set && text != "" && !f.Changed {
		if err := f.Value.Set(text); err != nil {
			return &Error{Key: key, Err: err, Msg: fmt.Sprintf("environment: %s=%s: %v", env, text, err)}
		}
		return nil
	}
	if f.Changed || d == nil {
		return nil
	}
	return setFromFile(f, key, d)
}

func setFromFile(f *pflag.Flag, key string, d *document) error {
	for _, e := range d.values {
		if e.key != key {
			continue
		}
		if err := f.Value.Set(flagText(e.value)); err != nil {
			return d.fail(e.line, key, "%s = %s: %v", key, showTOML(e.value), err)
		}
	}
	return nil
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
