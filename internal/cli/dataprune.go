package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"parallax/shard/corpus"
)

// pruneFlags say which entries of the token cache go.
type pruneFlags struct {
	cache  string
	days   int
	remove bool
	json   bool
}

func dataPruneCommand() *cobra.Command {
	var f pruneFlags
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "List token files that no run has used for a while, and remove them",
		Long: `prune lists the token files in the cache, the longest unused first, and marks those that no
run has used for --days. With --remove it deletes these. A run that needs one again makes it
again from its text; one that has it open goes on.`,
		Example: `  parallax data prune
  parallax data prune --days 7 --remove
  parallax data prune --days 0 --json | jq 'map(.bytes) | add'`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.IntVar(&f.days, "days", 30, "entries that no run has used for so many days")
	flags.BoolVar(&f.remove, "remove", false, "remove them (default: only list)")
	flags.BoolVar(&f.json, "json", false, "print one JSON array")
	addCache(flags, &f.cache)
	return cmd
}

// cachedEntry is an entry of the cache as a script reads it.
type cachedEntry struct {
	Path    string    `json:"path"`
	Source  string    `json:"source"`
	Bytes   int64     `json:"bytes"`
	Used    time.Time `json:"used"`
	Old     bool      `json:"old"` // unused for --days
	Removed bool      `json:"removed"`
}

func (f *pruneFlags) run(out io.Writer) error {
	if f.days < 0 {
		return usageError("--days %d: give a number of days, or 0 for all entries", f.days)
	}
	cached, err := corpus.List(f.cache)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	entries := make([]cachedEntry, len(cached))
	before := time.Now().Add(-time.Duration(f.days) * 24 * time.Hour)
	for i, c := range cached {
		e := &entries[i]
		*e = cachedEntry{Path: c.Path, Source: c.Manifest.String(), Bytes: c.Bytes, Used: c.Used, Old: c.Used.Before(before)}
		if f.remove && e.Old {
			if err := c.Remove(); err != nil {
				return err
			}
			e.Removed = true
		}
	}
	if f.json {
		return encodeLine(out, entries)
	}
	return f.print(out, entries)
}

func (f *pruneFlags) print(out io.Writer, entries []cachedEntry) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	all, old, bytes := int64(0), 0, int64(0)
	for _, e := range entries {
		mark := ""
		switch {
		case e.Removed:
			mark = "removed"
		case e.Old:
			mark = "old"
		}
		all += e.Bytes
		if e.Old {
			old++
			bytes += e.Bytes
		}
		fmt.Fprintf(table, "%s\tused %s\t%s\t%s\n", gib(e.Bytes), e.Used.Format(time.DateOnly), mark, e.Source)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	verdict := "; remove them with --remove"
	switch {
	case old == 0:
		verdict = ""
	case f.remove:
		verdict = ", which are removed"
	}
	_, err := fmt.Fprintf(out, "%s, %s; unused for %s: %s, %s%s\n", entriesOf(len(entries)), gib(all), count(f.days, "day"), entriesOf(old), gib(bytes), verdict)
	return err
}

// entriesOf is a number of entries in words.
func entriesOf(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
