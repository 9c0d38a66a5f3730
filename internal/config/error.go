package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// ExitCode is the exit status of a process whose configuration is wrong: a
// supervisor must not start it again unchanged.
const ExitCode = 2

// Error says in one sentence what is wrong with a configuration and where.
type Error struct {
	File string // "" when the fault is not in a file
	Line int    // counted from 1; 0: unknown
	Text string // the line as it stands in the file
	Key  string // "model.layers"; "" when no single key is at fault
	Msg  string // what is wrong and what to do
	Err  error  // the cause, if another error is
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	if e.Text != "" {
		fmt.Fprintf(&b, " (the line reads: %s)", shown(e.Text))
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// ExitCode is the process exit status that the error asks for.
func (e *Error) ExitCode() int { return ExitCode }

// shownRunes are as many of a line as a message shows.
const shownRunes = 160

// shown is a line as a terminal can bear it: of a file that is no text there may be
// anything in it, and much.
func shown(line string) string {
	if runes := []rune(line); len(runes) > shownRunes {
		line = string(runes[:shownRunes]) + "…"
	}
	if strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }) {
		return strconv.Quote(line)
	}
	return line
}
