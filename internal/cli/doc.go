// Package cli is the command line of Parallax: the tool that a person types
// (parallax) and the two daemons (coordinator, node), one file per command.
//
// Each command reads its flags, calls the package that does the work, and shows
// the result; a command that grows logic of its own has it in the wrong place.
// [Main] turns errors into exit codes (exit.go).
//
// What commands share stands once: flags in flags.go, or beside the struct that holds
// them (specFlags in config.go, trustFlags in trust.go, simCluster in simcluster.go), the
// daemons' in daemon.go; arguments in args.go; how help looks in help.go.
package cli
