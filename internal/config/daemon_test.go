package config

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func nodeFlags() (*pflag.FlagSet, *string) {
	flags := pflag.NewFlagSet("node", pflag.ContinueOnError)
	AddFailureTimeout(flags)
	device := flags.String("device", "cpu", "")
	flags.Int("threads", 0, "")
	flags.StringSlice("join-address", nil, "")
	flags.Bool("help", false, "")
	return flags, device
}

func TestDaemonLayers(t *testing.T) {
	flags, device := nodeFlags()
	file := writeFile(t, "device = \"cuda:0\"\nthreads = 3\nfailure_timeout = \"2s\"\njoin_address = [\"a:1\", \"b:2\"]\n")
	t.Setenv("PARALLAX_THREADS", "5")
	t.Setenv("PARALLAX_FAILURE_TIMEOUT", "7s")
	if err := flags.Parse([]string{"--failure-timeout", "9s"}); err != nil {
		t.Fatal(err)
	}
	v, err := Daemon(flags, file)
	if err != nil {
		t.Fatal(err)
	}
	if d := v.GetDuration(FailureTimeout); d != 9*time.Second {
		t.Errorf("failure timeout %v, want the flag's", d)
	}
	if n := v.GetInt("threads"); n != 5 {
		t.Errorf("threads %d, want the environment's", n)
	}
	if v.GetString("device") != "cuda:0" || *device != "cuda:0" {
		t.Errorf("device %q, its flag %q, want the file's", v.GetString("device"), *device)
	}
	if got := strings.Join(v.GetStringSlice("join_address"), " "); got != "a:1 b:2" {
		t.Errorf("addresses %q", got)
	}
}

func TestDaemonDefaults(t *testing.T) {
	flags, _ := nodeFlags()
	v, err := Daemon(flags, "")
	if err != nil || v.GetDuration(FailureTimeout) != DefaultFailureTimeout || v.GetString("device") != "cpu" {
		t.Errorf("%v, %v", v.AllSettings(), err)
	}
}

func TestDaemonFileIsStrict(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"devize = \"cpu\"\n", `:1: unknown setting devize; did you mean device? (the line reads: devize = "cpu")`},
		{"help = true\n", `:1: unknown setting help (the line reads: help = true)`},
		{"\nthreads = 1.9\n", `:2: threads = 1.9: must be an integer (the line reads: threads = 1.9)`},
		{"[node]\nthreads = 1\n", `:1: settings of a daemon have no sections: remove [node] (the line reads: [node])`},
	} {
		flags, _ := nodeFlags()
		file := writeFile(t, c.text)
		_, err := Daemon(flags, file)
		checkRefused(t, err, file+c.want)
	}
}

func TestDaemonEnvironmentIsStrict(t *testing.T) {
	flags, _ := nodeFlags()
	t.Setenv("PARALLAX_FAILURE_TIMEOUT", "soon")
	_, err := Daemon(flags, "")
	checkRefused(t, err, `environment: PARALLAX_FAILURE_TIMEOUT=soon: must be a duration like "30s" or "5m"`)
}

func TestDaemonFlagMustNotLookLikeASpecKey(t *testing.T) {
	flags := pflag.NewFlagSet("node", pflag.ContinueOnError)
	flags.String("data-dir", "", "")
	_, err := Daemon(flags, "")
	checkRefused(t, err, `--data-dir: PARALLAX_DATA_DIR would be read as a key of the run specification; rename the flag`)
}
