// Command coordinator decides who trains what in one run: it forms the cluster,
// makes views, gathers reports and keeps the ledger.
package main

import (
	"os"

	"parallax/internal/cli"
)

func main() { os.Exit(cli.Main(cli.Coordinator())) }
