package cli

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"parallax/internal/version"
	"parallax/internal/web"
	"parallax/record"
)

// pageFlags say where the page is served.
type pageFlags struct {
	address string
	file    string
}

const httpUsage = "`HOST:PORT` of the page, port 0 for a free one, empty for no page"

func (f *pageFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.address, "http", web.DefaultAddress, httpUsage)
	flags.StringVar(&f.file, "page-file", "", "write the page's URL to this `file`")
}

// listen opens the page's address and tells the URL; nil when there is to be no
// page.
func (f *pageFlags) listen(insecure bool) (net.Listener, error) {
	if f.address == "" {
		return nil, nil
	}
	l, err := web.Listen(f.address, insecure)
	if err != nil {
		return nil, usageError("--http: %w", err)
	}
	if f.file == "" {
		return l, nil
	}
	if err := os.WriteFile(f.file, []byte(web.URL(l)+"\n"), 0o644); err != nil {
		l.Close()
		return nil, usageError("cannot write the page's URL: %w", err)
	}
	return l, nil
}

func runsServeCommand(ledger *string) *cobra.Command {
	var f pageFlags
	var insecure bool
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Serve the page with the recorded runs, until interrupted",
		Example: "  parallax runs serve\n  parallax runs serve --http 127.0.0.1:0",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withLedger(*ledger, func(l *record.Ledger) error { return f.serveRecords(cmd, l, insecure) })
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&insecure, "insecure", false, "allow other addresses than loopback without TLS")
	return cmd
}

func (f *pageFlags) serveRecords(cmd *cobra.Command, ledger *record.Ledger, insecure bool) error {
	f.address = cmp.Or(f.address, web.DefaultAddress)
	listener, err := f.listen(insecure)
	if err != nil {
		return err
	}
	page := web.New(web.Options{Ledger: ledger, Version: version.String(), Log: newLogger(false)})
	defer page.Close()
	defer context.AfterFunc(cmd.Context(), page.Close)()
	fmt.Fprintf(cmd.OutOrStdout(), "recorded runs at %s\n", web.URL(listener))
	return page.Serve(listener)
}

// pageURL reads what a coordinator of a run in dir has written with --page-file.
func pageURL(dir string) string {
	text, _ := os.ReadFile(pageFile(dir))
	return strings.TrimSpace(string(text))
}

func pageFile(dir string) string { return filepath.Join(dir, "page.url") }
