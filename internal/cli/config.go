package cli

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"parallax/internal/config"
)

// specFlags are the flags of every command that takes a run spec.
type specFlags struct {
	fallback string // the preset when nothing names one
	preset   string
	file     string
	set      []string
}

func (f *specFlags) add(cmd *cobra.Command) {
	usage := "`preset` to start from; see parallax config presets"
	if f.fallback != "" {
		usage += fmt.Sprintf(" (default: %s)", f.fallback)
	}
	cmd.Flags().StringVar(&f.preset, "preset", "", usage)
	cmd.Flags().StringVarP(&f.file, "config", "c", "", "TOML `file` with the run's settings")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "one setting, as `key=value` (repeatable)")
	_ = cmd.RegisterFlagCompletionFunc("preset", completePresets)
	_ = cmd.RegisterFlagCompletionFunc("set", completeKeys)
}

// load reads the layers; more are settings over --set that have flags of their own.
func (f *specFlags) load(more ...config.Flag) (*config.Loaded, error) {
	loaded, err := config.Load(config.Sources{
		Default: f.fallback, Preset: f.preset, File: f.file, Environ: os.Environ(), Set: f.set, Flags: more,
	})
	if err != nil {
		return nil, err
	}
	return loaded, checkModel(loaded.Spec)
}

// checkModel refuses at once what the nodes would refuse later.
func checkModel(s config.Spec) error {
	_, err := modelOf(s)
	return err
}

func configCommand() *cobra.Command {
	return group("config", "Check, print and list run configurations",
		configCheckCommand(), configPrintCommand(), configPresetsCommand())
}

func configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check FILE...",
		Short:   "Say whether configuration files are valid",
		Example: "  parallax config check run.toml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("which files? try: parallax config check run.toml")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, files []string) error {
			for _, file := range files {
				flags := specFlags{file: file}
				loaded, err := flags.load()
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: valid, spec hash %s\n", file, config.Hash(loaded.Spec)[:12])
			}
			return nil
		},
	}
}

func configPrintCommand() *cobra.Command {
	flags := specFlags{fallback: "sim"}
	var toml bool
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print every setting and where its value came from",
		Example: `  parallax config print --preset small
  parallax config print --config run.toml --set train.steps=500
  parallax config print --preset small --toml > run.toml`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := flags.load()
			if err != nil {
				return err
			}
			if toml {
				_, err = cmd.OutOrStdout().Write(config.Canonical(loaded.Spec))
				return err
			}
			return printValues(cmd, loaded)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&toml, "toml", false, "print a complete TOML file instead")
	return cmd
}

func printValues(cmd *cobra.Command, loaded *config.Loaded) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, v := range loaded.Values() {
		fmt.Fprintf(w, "%s\t= %s\t# %s\n", v.Name, v.Value, v.Origin)
	}
	return w.Flush()
}

func configPresetsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "presets [NAME]",
		Short:   "List the presets, or print one",
		Example: "  parallax config presets\n  parallax config presets small > run.toml",
		Args:    atMostOne("a preset"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listPresets(cmd)
			}
			p, err := config.FindPreset(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), p.TOML)
			return err
		},
		ValidArgsFunction: completePresets,
	}
}

func listPresets(cmd *cobra.Command) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
	for _, p := range config.Presets() {
		fmt.Fprintf(w, "%s\t%s\n", p.Name, p.Description)
	}
	return w.Flush()
}

func completePresets(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, p := range config.Presets() {
		names = append(names, p.Name+"\t"+p.Description)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func completeKeys(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var keys []string
	for _, k := range config.Keys() {
		keys = append(keys, k.Name+"=\t"+k.Doc)
	}
	return keys, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
