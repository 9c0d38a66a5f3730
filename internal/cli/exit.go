package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, as a launch script sees them.
const (
	exitOK      = 0
	exitFailed  = 1  // the answer is no, or something outside is broken
	exitUsage   = 2  // bad configuration or usage: never retry
	exitQuorum  = 69 // too few nodes are left
	exitBug     = 70
	exitRequeue = 75 // checkpointed: please run it again
)

// exitError is an error with the exit code it asks for.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }
func (e *exitError) ExitCode() int { return e.code }

func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// exitWith ends a command whose outcome was already told; nothing more is printed.
func exitWith(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code, errSilent}
}

var errSilent = errors.New("")

// Main runs a command to its end and returns the process's exit code. SIGINT and
// SIGTERM cancel the command's context; a second one ends the process.
func Main(cmd *cobra.Command) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "%s: bug: %v\n%s\nplease report this with the command that led to it\n", cmd.Name(), p, debug.Stack())
			code = exitBug
		}
	}()
	ctx, stop := interruptible()
	defer stop()
	err := cmd.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errSilent) {
		fmt.Fprintf(os.Stderr, "%s: %s\n", cmd.Name(), strings.TrimSpace(err.Error()))
	}
	return exitCode(err)
}

func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
		signal.Stop(signals) // the next one has its default effect
	}()
	return ctx, cancel
}

func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &coded):
		return coded.ExitCode()
	default:
		return exitFailed
	}
}
