package config

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// deployed is what the flags of a made-up daemon say.
type deployed struct {
	timeout   time.Duration
	device    string
	threads   int
	addresses []string
}

func nodeFlags() (*pflag.FlagSet, *deployed) {
	flags, d := pflag.NewFlagSet("node", pflag.ContinueOnError), &deployed{}
	flags.DurationVar(&d.timeout, "failure-timeout", time.Second, "")
	flags.StringVar(&d.device, "device", "cpu", "")
	flags.IntVar(&d.threads, "threads", 0, "")
	flags.StringSliceVar(&d.addresses, "join-address", []string{"z:9"}, "")
	flags.Bool("help", false, "")
	return flags, d
}

func TestDaemonLayers(t *testing.T) {
	flags, got := nodeFlags()
	file := writeFile(t, "device = \"cuda:0\"\nthreads = 3\nfailure_timeout = \"2s\"\njoin_address = [\"a:1\", \"b:2\"]\n")
	t.Setenv("PARALLAX_THREADS", "5")
	t.Setenv("PARALLAX_DEVICE", "") // as if it were not set
	t.Setenv("PARALLAX_FAILURE_TIMEOUT", "7s")
	if err := flags.Parse([]string{"--failure-timeout", "9s"}); err != nil {
		t.Fatal(err)
	}
	if err := Daemon(flags, file); err != nil {
		t.Fatal(err)
	}
	if got.timeout != 9*time.Second {
		t.Errorf("failure timeout %v, want the flag's", got.timeout)
	}
	if got.threads != 5 {
		t.Errorf("threads %d, want the environment's", got.threads)
	}
	if got.device != "cuda:0" || strings.Join(got.addresses, " ") != "a:1 b:2" {
		t.Errorf("device %q and addresses %q, want the file's", got.device, got.addresses)
	}
}

func TestDaemonDefaults(t *testing.T) {
	flags, got := nodeFlags()
	if err := Daemon(flags, ""); err != nil || got.timeout != time.Second || got.device != "cpu" || got.addresses[0] != "z:9" {
		t.Errorf("%+v, %v", got, err)
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
		err := Daemon(flags, file)
		checkRefused(t, err, file+c.want)
	}
}

func TestDaemonEnvironmentIsStrict(t *testing.T) {
	flags, _ := nodeFlags()
	t.Setenv("PARALLAX_FAILURE_TIMEOUT", "soon")
	err := Daemon(flags, "")
	checkRefused(t, err, `environment: PARALLAX_FAILURE_TIMEOUT=soon: must be a duration like "30s" or "5m"`)
}

func TestDaemonFlagMustNotLookLikeASpecKey(t *testing.T) {
	flags := pflag.NewFlagSet("node", pflag.ContinueOnError)
	flags.String("data-dir", "", "")
	err := Daemon(flags, "")
	checkRefused(t, err, `--data-dir: PARALLAX_DATA_DIR would be read as a key of the run specification; rename the flag`)
}
