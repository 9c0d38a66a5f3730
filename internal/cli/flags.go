package cli

import (
	"errors"
	"strconv"

	"github.com/spf13/pflag"

	"parallax/kernels"
)

// Flags that several commands have are declared once, here or with the struct that
// holds them, so that they have one name and one meaning everywhere. A word between
// backquotes is what help shows for the value.

// deviceFlags say what a command computes on.
type deviceFlags struct {
	device  string
	threads int
}

// add declares the flags; purpose is what the device is for, as in "to measure".
func (f *deviceFlags) add(flags *pflag.FlagSet, purpose string) {
	addDevice(flags, &f.device, purpose)
	addThreads(flags, &f.threads)
}

// open opens the device.
func (f *deviceFlags) open() (kernels.Backend, error) {
	be, err := kernels.Open(f.device, kernels.Options{Threads: f.threads})
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return be, nil
}

func addDevice(flags *pflag.FlagSet, device *string, purpose string) {
	flags.StringVar(device, "device", "cpu", "`device` "+purpose+": cpu, cuda:0")
}

func addThreads(flags *pflag.FlagSet, threads *int) {
	addThreadsOf(flags, threads, "host threads of a CPU device (default: all)")
}

// addThreadsOf is addThreads for a command that says itself whose threads they are.
func addThreadsOf(flags *pflag.FlagSet, threads *int, usage string) {
	flags.Var((*threadsValue)(threads), "threads", usage)
}

// threadsValue is the value of --threads; 0 leaves the choice to who computes.
type threadsValue int

func (c *threadsValue) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return errors.New("it must be 0 or more threads")
	}
	*c = threadsValue(n)
	return nil
}

func (c *threadsValue) String() string { return strconv.Itoa(int(*c)) }

func (c *threadsValue) Type() string { return "int" }

func addCache(flags *pflag.FlagSet, dir *string) {
	flags.StringVar(dir, "cache", "", "`folder` of token files (default: the user's cache folder)")
}

func addData(flags *pflag.FlagSet, path *string) {
	flags.StringVar(path, "data", "", "text `file`, folder or token file (default: the Go installation's source)")
}

func addRunsDir(flags *pflag.FlagSet, dir *string) {
	flags.StringVar(dir, "dir", "runs", "`folder` of all runs and their ledger")
}

func addRunName(flags *pflag.FlagSet, name *string) {
	flags.StringVar(name, "name", "", "`name` of the run, for people")
}

func addEventsJSON(flags *pflag.FlagSet, asJSON *bool) {
	flags.BoolVar(asJSON, "json", false, "print one JSON object per event")
}
