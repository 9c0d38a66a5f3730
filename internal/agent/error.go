package agent

import "fmt"

// Error is why a node gave up, and the exit code that its supervisor is to see.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// ExitCode is for the command line.
func (e *Error) ExitCode() int { return e.Code }

// The exit codes that a node ends with, as sysexits.h and schedulers know them.
const (
	CodeUsage       = 2  // bad configuration: do not start it again unchanged
	CodeUnavailable = 69 // too few members, or no coordinator
	CodeRequeue     = 75 // it has left in good order: start it again
)

func usage(format string, args ...any) error {
	return &Error{CodeUsage, fmt.Errorf(format, args...)}
}

func unavailable(format string, args ...any) error {
	return &Error{CodeUnavailable, fmt.Errorf(format, args...)}
}
