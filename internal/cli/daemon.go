package cli

import (
	"github.com/spf13/cobra"

	"parallax/internal/config"
)

// daemonFlags are what the coordinator and a node are both told when they are
// deployed.
type daemonFlags struct {
	settings string // file of flags' values
	trust    trustFlags
	spec     specFlags
	verbose  bool
}

// reach is where a daemon listens. What is set before its flags are declared is their
// default.
type reach struct {
	listen, advertise, gossip *string
}

// daemon completes a daemon's command: before it runs, its flags, the environment
// and the file of --settings are merged.
func (f *daemonFlags) daemon(cmd *cobra.Command, run func(*cobra.Command) error) {
	cmd.Args = exactly()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := config.Daemon(cmd.Flags(), f.settings); err != nil {
			return err
		}
		return run(cmd)
	}
}

// add declares the flags; listens is who talks to the daemon there, spec what the
// file of --spec is to it.
func (f *daemonFlags) add(cmd *cobra.Command, at reach, listens, spec string) {
	flags := cmd.Flags()
	flags.StringVar(at.listen, "listen", *at.listen, "`HOST:PORT` for "+listens+", port 0 for a free one")
	flags.StringVar(at.advertise, "advertise", "", "`host` that others reach this one at (default: that of --listen)")
	flags.StringVar(at.gossip, "gossip", *at.gossip, "`IP:PORT` of the gossip cluster, port 0 for a free one")
	f.trust.add(flags)
	flags.StringVar(&f.spec.file, "spec", "", "TOML `file` with the settings "+spec)
	flags.StringVar(&f.settings, "settings", "", "TOML `file` with these flags' values")
	flags.BoolVar(&f.verbose, "verbose", false, "log gossip too")
	_ = cmd.MarkFlagFilename("spec", "toml")
}
