// Package cli is the command line of Parallax: the tool that a person types
// (parallax) and the two daemons (coordinator, node), one file per command.
//
// Each command reads its flags, calls the package that does the work, and shows
// the result; a command that grows logic of its own has it in the wrong place.
// [Main] turns errors into exit codes.
package cli
